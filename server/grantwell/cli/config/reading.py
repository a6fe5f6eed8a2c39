"""Reads the configuration: the file, then the environment over it, then the options of a command."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .complaints import Complaint, Rejected, key_of, place_of, sentence_of
from .environment import overridden
from .fitting import doubts, misfits
from .lines import KeyPath, lines_of
from .model import Configuration
from .settings import SECTIONS, setting_of

_MOST_BYTES = 1024 * 1024
_TOML_PLACE = re.compile(r" \(at line ([0-9]+), column [0-9]+\)")
_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/)([^?]+)(.*)", re.DOTALL)
_PASSWORD_IN_URL = re.compile(r"[^:/]+://[^/@:]*:[^/@]*@.*", re.DOTALL)

Options = Mapping[tuple[str, str], tuple[str, Any]]
"""For a section and a key, the option that sets it and its value."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that holds together, and for each key that somebody set, where."""

    configuration: Configuration
    file: Path | None
    sources: Mapping[KeyPath, str]

    @property
    def doubts(self) -> tuple[Complaint, ...]:
        """What holds, and is probably not what was meant."""
        found = doubts(self.configuration)
        return tuple(self.complaint(path, sentence) for path, sentence in found)

    def complaint(self, path: KeyPath, sentence: str) -> Complaint:
        """A complaint about a key, with the place where it was said."""
        otherwise = "the configuration" if self.file is None else str(self.file)
        return Complaint(place_of(path, self.sources, otherwise), key_of(path), sentence)

    @property
    def folder(self) -> Path:
        """Where modules are looked for first."""
        return Path.cwd() if self.file is None else self.file.absolute().parent


def read(file: Path | None, environment: Mapping[str, str], options: Options | None = None) -> Loaded:
    """The configuration of a file and what overrides it. Raises Rejected with everything that is wrong."""
    data, lines = ({}, {}) if file is None else _parsed(file)
    sources: dict[KeyPath, str] = {path: f"{file}:{line}" for path, line in lines.items()}
    complaints = [
        Complaint(place_of(path, sources, str(file)), key_of(path), sentence) for path, sentence in _betrayed(data)
    ]
    if file is not None:
        _resolve(data, file.absolute().parent)
    complaints += overridden(data, environment, sources)
    for path, (option, value) in (options or {}).items():
        data.setdefault(path[0], {})[path[1]] = value
        sources[path] = option
    otherwise = str(file) if file is not None else "the configuration"
    try:
        configuration = Configuration.model_validate(data)
    except ValidationError as error:
        # What was taken out above because it is a secret is not missing as well.
        said = {complaint.key for complaint in complaints}
        for found in error.errors(include_input=False, include_url=False):
            if (key := key_of(found["loc"])) not in said:
                complaints.append(Complaint(place_of(found["loc"], sources, otherwise), key, sentence_of(found)))
        raise Rejected(complaints) from None
    complaints += [
        Complaint(place_of(path, sources, otherwise), key_of(path), sentence)
        for path, sentence in misfits(configuration)
    ]
    if complaints:
        raise Rejected(complaints)
    return Loaded(configuration, file, sources)


def _parsed(file: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    try:
        with file.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise Rejected([Complaint(str(file), "", f"cannot be read: {error.strerror}.")]) from None
    if len(raw) > _MOST_BYTES:
        raise Rejected([Complaint(str(file), "", "is too large to be a configuration.")])
    try:
        text = raw.decode("utf-8-sig")
        return tomllib.loads(text), lines_of(text)
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        raise Rejected([Complaint(f"{file}:{line}", "", "is not UTF-8.")]) from None
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place else 1 + raw.count(b"\n", 0, len(raw.rstrip()))
        sentence = f"is not TOML: {_TOML_PLACE.sub('', str(error)).removesuffix(' (at end of document)')}."
        raise Rejected([Complaint(f"{file}:{line}", "", sentence)]) from None
    except RecursionError:
        raise Rejected([Complaint(str(file), "", "is nested too deeply.")]) from None


def _tables(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Each table of settings with its path."""
    for name, value in data.items():
        if isinstance(value, dict):
            yield (name,), value
        elif isinstance(value, list):
            yield from (((name, index), item) for index, item in enumerate(value) if isinstance(item, dict))


def _betrayed(data: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """The secrets that stand in the file; they are taken out, so that nothing can print them."""
    for path, table in _tables(data):
        for key in list(table):
            setting = setting_of((*path, key))
            if setting is not None and setting.is_secret:
                del table[key]
                variable = setting.variable.replace("__N__", f"__{path[-1]}__")
                advice = f"put it into a file that {key}_file names, or into ${variable}"
                yield (*path, key), f"is a secret, which does not belong here: {advice}."
    server = data.get("server")
    if not isinstance(server, dict):
        return
    url = server.get("database_url")
    if isinstance(url, str) and _PASSWORD_IN_URL.fullmatch(url):
        del server["database_url"]
        yield (
            ("server", "database_url"),
            "has a password, which does not belong here: put the URL into $GRANTWELL_DATABASE_URL.",
        )


def _resolve(data: dict[str, Any], folder: Path) -> None:
    """Make what a file says of places mean the same from everywhere."""
    for path, table in _tables(data):
        for key, value in table.items():
            setting = setting_of((*path, key))
            if setting is not None and setting.is_path and isinstance(value, str) and value and "\0" not in value:
                table[key] = str(folder / value)
    server = data.get("server")
    if not isinstance(server, dict):
        return
    default = SECTIONS["server"].keys["database_url"].default
    url = server.get("database_url", default if folder != Path.cwd() else None)
    if isinstance(url, str) and (relative := _SQLITE_FILE.fullmatch(url)):
        server["database_url"] = f"{relative[1]}{folder / relative[2]}{relative[3]}"
