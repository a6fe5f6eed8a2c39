"""The kinds of values that a setting has beyond text and numbers: lengths of time, none, networks, paths, names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ...config import MAX_TTL
from ..durations import seconds_of

NONE = "none"
"""How a file says what is None in Python; TOML has no word for it."""

_ATTRIBUTE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Duration:
    """Marks whole seconds that may be written with a unit, from `least` to `most`."""

    least: int = 1
    most: int = MAX_TTL

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """What pydantic runs before it looks at the type."""
        return core_schema.no_info_before_validator_function(self.seconds, handler(source))

    def seconds(self, value: Any) -> int:
        """The seconds of what was written. Raises ValueError."""
        count = seconds_of(value) if isinstance(value, str) else value
        if isinstance(count, bool) or not isinstance(count, int):
            raise ValueError('must be whole seconds, or a length of time such as "90s", "15m", "24h" or "7d"')
        if not self.least <= count <= self.most:
            raise ValueError(f"must be from {self.least} to {self.most} seconds")
        return count


@dataclass(frozen=True, slots=True)
class OrNone:
    """Marks what may be "none"."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """What pydantic runs instead of looking at the type, where the value is "none"."""
        return core_schema.no_info_wrap_validator_function(
            lambda value, inner: None if value in (None, NONE) else inner(value), handler(source)
        )


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError("must be an address or a network in CIDR notation, such as 127.0.0.1 or 10.0.0.0/8") from None
    return text


Network = Annotated[str, AfterValidator(_network)]
"""An IP address, or a network in CIDR notation."""


@dataclass(frozen=True, slots=True)
class InFolder:
    """Marks the path of a file; one that a configuration file names is relative to the folder of that file."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """What pydantic runs before it looks at the type."""
        return core_schema.no_info_before_validator_function(_path, handler(source))


def _path(value: Any) -> Path | None:
    if value is None or isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be the path of a file")
    return Path(value)


FilePath = Annotated[Path, InFolder()]
"""The path of a file or a folder."""


def _attribute(text: str) -> str:
    if not _ATTRIBUTE.fullmatch(text):
        raise ValueError('must name a Python object, as in "package.module:name"')
    return text


PythonName = Annotated[str, AfterValidator(_attribute)]
"""The name of a Python object, `module:attribute`."""
