"""Bearer tokens on a protected call: reading the credential and writing the challenge (RFC 6750, RFC 9728)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote_to_bytes

from ..errors import OAuthError
from .scopes import format_scope

MAX_TOKEN_LENGTH = 512

_MAX_HEADER_LENGTH = MAX_TOKEN_LENGTH + 64
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")
_BEARER_SCHEME = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr](?:[^!#$%&'*+\-.^_`|~0-9A-Za-z].*)?", re.DOTALL)
_UNQUOTABLE = re.compile(r"[^ !#-\[\]-~]")


def bearer_credential(authorization: Sequence[bytes], query: bytes) -> str | None:
    """The token in the `Authorization` headers; None when they hold no Bearer credential (RFC 6750 section 2.1).

    Raises OAuthError `invalid_request` for two headers, a malformed one, and for a token that is in the query as well.
    A token in the query alone counts for nothing (OAuth 2.1 section 5.1).
    """
    if not authorization:
        return None
    if len(authorization) > 1:
        raise OAuthError("invalid_request", "The request has more than one Authorization header.")
    header = authorization[0]
    match = _BEARER.fullmatch(header) if len(header) <= _MAX_HEADER_LENGTH else None
    if match is None or len(match[1]) > MAX_TOKEN_LENGTH:
        if _BEARER_SCHEME.fullmatch(header):
            raise OAuthError("invalid_request", "The Bearer credential is malformed.")
        return None
    if query and _has_access_token(query):
        raise OAuthError("invalid_request", "The access token was sent in more than one way.")
    return match[1].decode()


def challenge(
    *,
    resource_metadata: str,
    scopes: Iterable[str] = (),
    error: str | None = None,
    description: str | None = None,
) -> str:
    """The `WWW-Authenticate` value for a protected resource (RFC 6750 section 3, RFC 9728 section 5.1).

    `error` is for requests that carried a credential; `scopes` are all that the operation needs.
    """
    members = {
        "resource_metadata": resource_metadata,
        "error": error,
        "scope": format_scope(scope for scope in scopes if scope != "offline_access"),
        "error_description": description,
    }
    return "Bearer " + ", ".join(f'{name}="{_UNQUOTABLE.sub("?", value)}"' for name, value in members.items() if value)


def _has_access_token(query: bytes) -> bool:
    # The query belongs to the wrapped application, which may spell it as it likes: no grammar is imposed here.
    for field in query.split(b"&"):
        name, _, value = field.partition(b"=")
        if value and unquote_to_bytes(name) == b"access_token":
            return True
    return False
