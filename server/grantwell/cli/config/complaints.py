"""What is wrong with a configuration, as sentences that name file, line and field and say what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from ...errors import ConfigurationError
from ..output import plain
from .lines import KeyPath
from .model import Configuration
from .settings import SECTIONS

_SENTENCES = {
    "missing": "is missing",
    "int_type": "must be a whole number, without quotation marks",
    "float_type": "must be a number",
    "bool_type": "must be true or false, without quotation marks",
    "string_type": "must be text, in quotation marks",
    "list_type": "must be a list, in square brackets",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong: where it was said, with which key, and what is allowed there."""

    place: str
    key: str
    sentence: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return plain(f"{self.place}: {key}{self.sentence}")


class Rejected(click.ClickException):
    """A configuration that cannot be used; all complaints at once."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("\n".join(str(complaint) for complaint in self.complaints))

    def format_message(self) -> str:
        """What is printed behind "Error: "."""
        if len(self.complaints) == 1:
            return self.message
        return f"the configuration has {len(self.complaints)} errors:\n{self.message}"


def key_of(path: Sequence[str | int]) -> str:
    """A key as people write it: server.port, api[0].prefix."""
    key = ""
    for part in path:
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            key += f".{part}" if key else part
    return key


def place_of(path: Sequence[str | int], sources: Mapping[KeyPath, str], otherwise: str) -> str:
    """Where a key was said, or else the nearest thing around it."""
    for length in range(len(path), 0, -1):
        if (source := sources.get(tuple(path[:length]))) is not None:
            return source
    return otherwise


def sentence_of(error: Mapping[str, Any]) -> str:
    """What is allowed, from an error of pydantic. What was written instead is not repeated: it may be a secret."""
    path, kind, context = error["loc"], error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown(path)
    if kind == "list_type" and len(path) == 1:
        return f"must be an array of tables: write [[{path[0]}]]."
    if kind == "value_error":
        return _of_cause(context["error"])
    if kind in _SENTENCES:
        return _SENTENCES[kind].format_map(context) + "."
    return f"{error['msg']}."


def _of_cause(cause: Exception) -> str:
    text = str(cause)
    if isinstance(cause, ConfigurationError):
        text = text.removeprefix(f"{cause.field}: ")
    return text if text.endswith(".") else f"{text}."


def unknown(path: Sequence[str | int]) -> str:
    """What to write instead of a key that there is not."""
    section, key = str(path[0]), str(path[-1])
    if len(path) == 1:
        known: list[str] = list(Configuration.model_fields)
        what = "is not a section"
    else:
        known = list(SECTIONS[section].keys)
        what = "is not a setting"
        homes = [name for name, other in SECTIONS.items() if key in other.keys and name != section]
        if homes and not difflib.get_close_matches(key, known, 1, 0.8):
            return f"{what} here; it belongs to {' or '.join(SECTIONS[home].heading for home in homes)}."
    near = difflib.get_close_matches(key, known, 1, 0.6)
    return f"{what}; did you mean {near[0]}?" if near else f"{what}; here may be: {', '.join(known)}."
