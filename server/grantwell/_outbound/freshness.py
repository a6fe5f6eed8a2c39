"""How long an answer may be kept (RFC 9111 section 4.2), as a cache that many users share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

MAX_KEPT_SECONDS = 86_400

_NOT_TO_BE_KEPT = {"no-cache", "no-store", "private"}


def seconds_to_keep(fields: Mapping[str, Sequence[str]]) -> int | None:
    """Seconds that an answer with these header fields may be kept, 0 to 24 hours; None when it does not say.

    `fields` has their names in lower case. What is malformed or contradicts itself is read as the shorter time.
    """
    if "*" in _members(fields, "vary"):
        return 0
    directives: dict[str, list[str]] = {}
    for member in _members(fields, "cache-control"):
        name, _, value = member.partition("=")
        directives.setdefault(name.rstrip(" \t").lower(), []).append(value.strip('"'))
    if directives.keys() & _NOT_TO_BE_KEPT:
        return 0
    given = directives.get("s-maxage") or directives.get("max-age")
    if given:
        lifetime = min(_seconds(value, malformed=0) for value in given)
    elif "expires" in fields:
        lifetime = _seconds_until(fields["expires"], fields.get("date", ()))
    else:
        return None
    age = max((_seconds(value, malformed=MAX_KEPT_SECONDS) for value in _members(fields, "age")), default=0)
    return max(0, min(lifetime, MAX_KEPT_SECONDS) - age)


def _members(fields: Mapping[str, Sequence[str]], name: str) -> list[str]:
    # A comma inside a quoted value splits it too; the worst that comes of it is a shorter time, or the longest.
    return [member.strip(" \t") for value in fields.get(name, ()) for member in value.split(",")]


def _seconds(text: str, *, malformed: int) -> int:
    if not re.fullmatch("[0-9]+", text):
        return malformed
    return int(text) if len(text) <= 9 else MAX_KEPT_SECONDS


def _seconds_until(expires: Sequence[str], date: Sequence[str]) -> int:
    if len(expires) != 1 or len(date) != 1 or not all(text.endswith(" GMT") for text in (*expires, *date)):
        return 0
    try:
        return int((parsedate_to_datetime(expires[0]) - parsedate_to_datetime(date[0])).total_seconds())
    except (ValueError, OverflowError):
        return 0
