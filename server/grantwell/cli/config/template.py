"""Writes a configuration to begin with: every setting that there is, with what it is for and what holds without it."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from ...config import DAY
from .settings import SECTIONS, Chapter, Setting
from .values import NONE

_WIDTH = 100
_HEAD = """\
The configuration of a Grantwell server. What is commented out shows the default, or an
example where there is none.

Any setting can be overridden by an environment variable that is named after it: GRANTWELL_SERVER__PORT=9000,
GRANTWELL_API__0__PREFIX=/api. A path is relative to the folder of this file. Secrets never stand here: they are
kept in files of their own, or in the environment.

Check it with `grantwell config check`, see what holds with `grantwell config show`.
"""
_EXAMPLES: dict[tuple[str, str], Any] = {
    ("oauth", "introspection_endpoint"): "/introspect",
    ("oauth", "verify_endpoint"): "/verify",
    ("oauth", "default_scopes"): ["notes:read"],
    ("oauth", "default_resources"): ["https://auth.example.com/api"],
    ("server", "secret_key_file"): "grantwell.key",
    ("server", "older_secret_key_file"): "grantwell.key.before",
    ("signin", "name"): "Example",
    ("signin", "logo"): "logo.png",
    ("signin", "templates"): "templates",
    ("upstream_signin", "name"): "corp",
    ("upstream_signin", "label"): "Example Corp.",
    ("upstream_signin", "issuer"): "https://login.example.com",
    ("upstream_signin", "client_id"): "grantwell",
    ("upstream_signin", "client_secret_file"): "corp.secret",
    ("upstream_signin", "scopes"): ["profile", "email"],
    ("upstream_signin", "allowed_domains"): ["example.com"],
    ("api", "prefix"): "/api",
    ("api", "name"): "Notes",
    ("api", "scopes"): {"notes:read": "Read your notes", "notes:write": "Write and delete your notes"},
    ("api", "implies"): {"notes:write": ["notes:read"]},
    ("api", "upstream"): "http://127.0.0.1:9000",
    ("api", "app"): "notes:app",
    ("api", "identifier"): "https://auth.example.com/api",
    ("resource", "name"): "Files",
    ("resource", "scopes"): {"files:read": "Read your files"},
    ("resource", "implies"): {},
    ("resource", "identifier"): "https://files.example.com/",
}


def template(given: dict[tuple[str, str], Any]) -> str:
    """The text of a file in which the given settings hold, and everything else is a comment."""
    chapters = [_chapter(chapter, given) for chapter in SECTIONS.values()]
    return "\n".join([_comment(_HEAD), "", *chapters])


def duration(seconds: int) -> str:
    """A length of time in its largest whole unit: 30d, 15m, 90s."""
    for unit, size in (("d", DAY), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def toml(value: Any) -> str:
    """A value as TOML has it; None as "none"."""
    if value is None:
        return toml(NONE)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        pairs = ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(item) for item in value)}]"
    return json.dumps(str(value)).replace("\x7f", "\\u007f")


def default_of(setting: Setting) -> str | None:
    """The default as it stands in a file; None where nothing there says it."""
    if setting.is_required or (setting.default is None and not setting.words.endswith(f'"{NONE}"')):
        return None
    if setting.words.startswith("length of time") and setting.default is not None:
        return toml(duration(setting.default))
    return toml(setting.default)


def _chapter(chapter: Chapter, given: dict[tuple[str, str], Any]) -> str:
    # A table that says nothing does no harm; one of several is one more.
    holds = not chapter.is_repeated or any(section == chapter.name for section, _ in given)
    mark = "" if holds else "#"
    lines = [_comment(chapter.text), f"{mark}{chapter.heading}"]
    for name, setting in chapter.keys.items():
        if setting.is_secret:
            continue
        lines.append(_comment(f"{setting.field.description}"))
        if (value := given.get((chapter.name, name))) is not None:
            lines.append(f"{name} = {toml(value)}")
        else:
            example = _EXAMPLES.get((chapter.name, name))
            lines.append(f"#{name} = {toml(example) if example is not None else default_of(setting) or toml('')}")
    return "\n".join([*lines, ""])


def _comment(text: str) -> str:
    paragraphs = [" ".join(paragraph.splitlines()) for paragraph in text.strip().split("\n\n")]
    wrapped = ["\n".join(textwrap.wrap(p, _WIDTH, initial_indent="# ", subsequent_indent="# ")) for p in paragraphs]
    return "\n#\n".join(wrapped)
