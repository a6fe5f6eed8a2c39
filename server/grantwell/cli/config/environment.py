"""Settings from the environment: GRANTWELL_SECTION__KEY, and GRANTWELL_SECTION__0__KEY for one of several tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_origin

from .complaints import Complaint, unknown
from .lines import KeyPath
from .settings import BETWEEN, PREFIX, SECTIONS, SHORT_NAMES, Setting, setting_of

_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def overridden(data: dict[str, Any], environment: Mapping[str, str], sources: dict[KeyPath, str]) -> list[Complaint]:
    """Put what the environment says into the data; returns what cannot be put there."""
    complaints = []
    for name in sorted(environment):
        if name in SHORT_NAMES:
            path = SHORT_NAMES[name]
        elif name.startswith(PREFIX) and BETWEEN in name:
            path = _path(name)
        else:
            continue
        setting = setting_of(path)
        table = None if setting is None else _table(data, path)
        if setting is None:
            complaints.append(Complaint(f"${name}", "", _unknown(path)))
        elif table is None:
            tables = f"{SECTIONS[setting.section].heading} tables"
            complaints.append(Complaint(f"${name}", "", f"is for a table beyond the {tables} that there are."))
        else:
            # An empty variable is how many tools say that there is none.
            if environment[name] != "":
                table[setting.name] = _value(setting, environment[name])
                sources[path] = f"${name}"
    return complaints


def _path(name: str) -> KeyPath:
    parts = name.removeprefix(PREFIX).lower().split(BETWEEN)
    return tuple(int(part) if _NUMBER.fullmatch(part) else part for part in parts)


def _unknown(path: KeyPath) -> str:
    section = SECTIONS.get(str(path[0]))
    if section is None:
        return unknown(path[:1])
    shape = "GRANTWELL_SECTION__N__KEY" if section.is_repeated else "GRANTWELL_SECTION__KEY"
    if len(path) != 2 + section.is_repeated:
        return f"must have the form {shape}."
    return unknown(path)


def _table(data: dict[str, Any], path: KeyPath) -> dict[str, Any] | None:
    """The table that a key belongs into; made where it is not there yet."""
    first, second = path[0], path[1]
    if not isinstance(second, int):
        table = data.setdefault(str(first), {})
        return table if isinstance(table, dict) else None
    tables = data.setdefault(str(first), [])
    if not isinstance(tables, list) or second > len(tables):
        return None
    if second == len(tables):
        tables.append({})
    return tables[second] if isinstance(tables[second], dict) else None


def _value(setting: Setting, text: str) -> Any:
    """The text as TOML would have it. What does not fit the type stays text, and is complained about with the rest."""
    kind = setting.kind
    if kind is bool:
        return _TRUTH.get(text.lower(), text)
    if kind is int and _WHOLE.fullmatch(text):
        return int(text)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            return text
    if get_origin(kind) is list:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text
