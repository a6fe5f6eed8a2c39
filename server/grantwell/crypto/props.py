"""Props as the bytes that are sealed."""

from __future__ import annotations

import json
from typing import Any

MAX_PROPS_BYTES = 256 * 1024


def encode_props(props: Any) -> bytes:
    """Props as JSON bytes. Raises ValueError, naming the trouble, for what JSON cannot carry or is over 256 KiB."""
    _check_json(props, depth=0)
    encoded = json.dumps(props, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(encoded) > MAX_PROPS_BYTES:
        raise ValueError(f"props take {len(encoded)} bytes as JSON; {MAX_PROPS_BYTES} is the most")
    return encoded


def _check_json(value: Any, *, depth: int) -> None:
    if depth > 32:
        raise ValueError("props are nested too deeply, or contain themselves")
    if isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                raise ValueError(f"props have a key that is not a string: {type(key).__name__}")
            _check_json(key, depth=depth + 1)
            _check_json(member, depth=depth + 1)
    elif isinstance(value, (list, tuple)):
        for member in value:
            _check_json(member, depth=depth + 1)
    elif isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError("props have a string with a lone surrogate")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("props have a number that is not finite")
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 1 << 63:
            raise ValueError("props have an integer beyond 64 bits")
    elif value is not None and not isinstance(value, bool):
        raise ValueError(f"props have a value that JSON cannot carry: {type(value).__name__}")
