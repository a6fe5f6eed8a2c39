"""Scope strings (RFC 6749 section 3.3): tokens between single spaces, case-sensitive, order without meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import OAuthError

MAX_SCOPES = 64
MAX_SCOPE_LENGTH = 128

_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def parse_scope(text: str | None) -> tuple[str, ...]:
    """The scopes in `text`, each once, in order; () for None. Raises OAuthError `invalid_scope`."""
    if text is None:
        return ()
    if len(text) > MAX_SCOPES * (MAX_SCOPE_LENGTH + 1):
        raise OAuthError("invalid_scope", "The scope is too long.")
    tokens = text.split(" ")
    if len(tokens) > MAX_SCOPES:
        raise OAuthError("invalid_scope", "The scope has too many values.")
    if not all(len(token) <= MAX_SCOPE_LENGTH and _TOKEN.fullmatch(token) for token in tokens):
        raise OAuthError("invalid_scope", "The scope is malformed.")
    return tuple(dict.fromkeys(tokens))


def format_scope(scopes: Iterable[str]) -> str:
    """The scopes as one string."""
    return " ".join(scopes)
