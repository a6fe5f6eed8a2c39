"""Keyset paging: an opaque cursor is the key of the last row that was shown."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

MAX_LIMIT = 1000


def check_limit(limit: int) -> None:
    """Raises ValueError unless a page of this size may be asked for."""
    if not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"A page holds 1 to {MAX_LIMIT} items, not {limit}.")


def cursor_after(*key: int | str) -> str:
    """The cursor that stands behind the row with this key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).rstrip(b"=").decode()


def key_of(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The key in a cursor, whose parts are of these kinds.

    Raises ValueError for a cursor that no listing returned.
    """
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        key = None
    if type(key) is not list or [type(part) for part in key] != list(kinds):
        raise ValueError("The cursor is not one that this listing returned.")
    return tuple(key)
