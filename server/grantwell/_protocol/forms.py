"""The strict reader of `application/x-www-form-urlencoded`, for bodies and queries (RFC 6749 appendix B)."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from ..errors import OAuthError
from .media_types import reads_as

MAX_FIELDS = 32
MAX_FIELDS_WITH_BOXES = 1024
MAX_NAME_LENGTH = 128

# Searched for, never matched as a whole: a search for one bad byte is linear whatever the input.
_REFUSED = re.compile(rb"[^ -~]|%(?![2-6][0-9A-Fa-f]|7[0-9A-Ea-e]|[89A-Fa-f][0-9A-Fa-f])")


def is_form(content_type: str | None) -> bool:
    """Whether a body with this `Content-Type` may be read as a form: exactly the media type, in UTF-8."""
    return reads_as(content_type, "application/x-www-form-urlencoded")


class Parameters:
    """The parameters of one request, names and values decoded once, in the order they were sent."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values

    def one(self, name: str) -> str | None:
        """The value; None when absent or empty. Raises OAuthError when it was sent twice (RFC 6749 section 3.1)."""
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise OAuthError("invalid_request", f"The parameter {name} was sent more than once.")
        return values[0] or None

    def many(self, name: str) -> tuple[str, ...]:
        """Every value that is not empty, for the parameters that may repeat (RFC 8707 section 2)."""
        return tuple(value for value in self._values.get(name, ()) if value)

    def repeated(self, allowed: frozenset[str] = frozenset()) -> str | None:
        """A name that was sent more than once, empty values included, and may not be; None when there is none.

        The name is the sender's: it belongs in a log, not in an answer.
        """
        return next((name for name, values in self._values.items() if len(values) > 1 and name not in allowed), None)

    def names(self) -> frozenset[str]:
        """Every name that was sent, with or without a value."""
        return frozenset(self._values)


def parse_parameters(raw: bytes, *, most_fields: int = MAX_FIELDS) -> Parameters:
    """Read a form body or a query. Raises OAuthError `invalid_request` for whatever is not plainly one.

    `+` is a space and `;` part of a value. Control characters are refused in names and values, however they are
    spelled; so are raw bytes outside ASCII, and anything that is not UTF-8 after decoding.
    """
    if raw.count(b"&") >= most_fields:
        raise OAuthError("invalid_request", "The request has too many parameters.")
    values: dict[str, list[str]] = {}
    if _REFUSED.search(raw):
        raise OAuthError("invalid_request", "A parameter has a control character, a raw byte or a bad percent escape.")
    try:
        for field in raw.split(b"&"):
            if field:
                name, _, value = field.partition(b"=")
                values.setdefault(_decode(name), []).append(_decode(value))
    except UnicodeDecodeError:
        raise OAuthError("invalid_request", "A parameter is not UTF-8.") from None
    if any(len(name) > MAX_NAME_LENGTH for name in values):
        raise OAuthError("invalid_request", "The name of a parameter is too long.")
    return Parameters(values)


def decode_component(raw: bytes) -> str | None:
    """One name or value, decoded exactly once; None if it is not well formed."""
    if _REFUSED.search(raw):
        return None
    try:
        return _decode(raw)
    except UnicodeDecodeError:
        return None


def _decode(raw: bytes) -> str:
    if b"%" in raw or b"+" in raw:
        raw = unquote_to_bytes(raw.replace(b"+", b" "))
    return raw.decode()
