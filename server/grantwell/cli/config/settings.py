"""The settings that there are, read from the model: for the environment, the documentation and the template."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .lines import KeyPath
from .model import Configuration, Section
from .values import Duration, InFolder, OrNone

PREFIX = "GRANTWELL_"
BETWEEN = "__"

SHORT_NAMES: Mapping[str, KeyPath] = {
    "GRANTWELL_DATABASE_URL": ("server", "database_url"),
    "GRANTWELL_SECRET_KEY_FILE": ("server", "secret_key_file"),
    "GRANTWELL_CIMD_ALLOWED_NETWORKS": ("oauth", "cimd_allowed_networks"),
}
"""Names that are in use without their section."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key: its type and its marks."""

    section: str
    name: str
    is_repeated: bool
    field: FieldInfo

    @property
    def is_secret(self) -> bool:
        """Whether the value must not stand in the file, nor be shown."""
        extra = self.field.json_schema_extra
        return isinstance(extra, dict) and bool(extra.get("secret"))

    @property
    def is_path(self) -> bool:
        """Whether the value is a path."""
        return self._has(InFolder)

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.field.is_required()

    @property
    def default(self) -> Any:
        """What holds if nothing is said."""
        default = self.field.get_default(call_default_factory=True)
        return None if default is PydanticUndefined else default

    @property
    def variable(self) -> str:
        """The environment variable that overrides it; N is the number of the table, from 0."""
        number = f"{BETWEEN}N" if self.is_repeated else ""
        return f"{PREFIX}{self.section.upper()}{number}{BETWEEN}{self.name.upper()}"

    @property
    def kind(self) -> Any:
        """The Python type, without None."""
        annotation = self.field.annotation
        if get_origin(annotation) in (Union, types.UnionType):
            (annotation,) = (kind for kind in get_args(annotation) if kind is not type(None))
        return annotation

    @property
    def words(self) -> str:
        """The kind of value, in words."""
        kind = self.kind
        if self._has(Duration):
            words = "length of time"
        elif self.is_path:
            words = "path"
        elif get_origin(kind) is Literal:
            words = " or ".join(f'"{value}"' for value in get_args(kind))
        elif get_origin(kind) is dict:
            words = "table"
        elif get_origin(kind) is list:
            words = "list of texts"
        else:
            words = {bool: "true or false", int: "whole number", float: "number"}.get(kind, "text")
        return f'{words}, or "none"' if self._has(OrNone) else words

    def _has(self, mark: Any) -> bool:
        if any(isinstance(item, mark) for item in self.field.metadata):
            return True
        # Where None is allowed, the marks of the other type are inside of it.
        return any(
            isinstance(item, mark)
            for kind in get_args(self.field.annotation)
            for item in getattr(kind, "__metadata__", ())
        )


@dataclass(frozen=True, slots=True)
class Chapter:
    """A section with its keys."""

    name: str
    is_repeated: bool
    text: str
    keys: Mapping[str, Setting]

    @property
    def heading(self) -> str:
        """Its line in a file."""
        return f"[[{self.name}]]" if self.is_repeated else f"[{self.name}]"


def _chapter(name: str, field: FieldInfo) -> Chapter:
    is_repeated = get_origin(field.annotation) is list
    model: type[Section] = get_args(field.annotation)[0] if is_repeated else field.annotation  # type: ignore[assignment]
    keys = {key: Setting(name, key, is_repeated, info) for key, info in model.model_fields.items()}
    return Chapter(name, is_repeated, inspect.getdoc(model) or "", keys)


SECTIONS: Mapping[str, Chapter] = {name: _chapter(name, field) for name, field in Configuration.model_fields.items()}
"""Every section by its name, in the order of the documentation."""


def setting_of(path: KeyPath) -> Setting | None:
    """The setting that a path leads to, or into."""
    match path:
        case (str(section), str(key), *_) if section in SECTIONS and not SECTIONS[section].is_repeated:
            return SECTIONS[section].keys.get(key)
        case (str(section), int(), str(key), *_) if section in SECTIONS and SECTIONS[section].is_repeated:
            return SECTIONS[section].keys.get(key)
    return None
