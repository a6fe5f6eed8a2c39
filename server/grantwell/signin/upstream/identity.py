"""Who signed in elsewhere: their id here, and what to call them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .kept import KeptTokens

MAX_SUBJECT_CHARACTERS = 100
MAX_NAME_CHARACTERS = 100

_PLAIN = re.compile(r"[A-Za-z0-9._@+|\-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody whom an upstream signed in. `subject` is how it knows them for ever, `name` what to call them.

    `tokens` are those of the upstream, where they are kept.
    """

    subject: str
    name: str | None
    tokens: KeptTokens | None


def user_id_of(upstream: str, subject: str) -> str:
    """The id of a user here: `upstream:subject`, and no two subjects have the same one.

    Letters, digits and `. _ @ + | -` stay as they are, everything else is percent-encoded; what gets longer than 100
    characters so is replaced by its SHA-256 behind a `~`, which no other subject begins with.
    """
    encoded = "".join(
        character if _PLAIN.fullmatch(character) else "".join(f"%{octet:02X}" for octet in _octets(character))
        for character in subject
    )
    if len(encoded) > MAX_SUBJECT_CHARACTERS:
        encoded = f"~{hashlib.sha256(_octets(subject)).hexdigest()}"
    return f"{upstream}:{encoded}"


def name_in(claims: Mapping[str, Any], *members: str) -> str | None:
    """What to call somebody, by the first of these claims that says something; printable, and not too long."""
    for member in members:
        value = claims.get(member)
        if isinstance(value, str):
            # So no line breaks, and nothing that turns the direction of what follows.
            name = "".join(filter(str.isprintable, value)).strip(" ")[:MAX_NAME_CHARACTERS]
            if name:
                return name
    return None


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
