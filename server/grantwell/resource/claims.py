"""What an introspection answer says of a token, believed member by member (RFC 7662 section 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from .._protocol.scopes import parse_scope
from ..config import ProtectedResource
from ..errors import OAuthError
from ..records import Principal

T = TypeVar("T")


class MalformedClaims(ValueError):
    """The answer is none that RFC 7662 allows. `str()` is a reason for the log; it quotes nothing of the answer."""


def read_claims(document: Mapping[str, Any], resource: ProtectedResource, issuer: str, now: int) -> Principal:
    """Who presents the token that the answer is about; `now` is in seconds since 1970 UTC.

    Raises OAuthError `invalid_token` for a token that is not good here and now, MalformedClaims for an answer that
    says nothing about it. A token without `username` is its client's own: it is nobody's, whatever its `sub` is.
    """
    active = _member(document, "active", bool)
    if active is False:
        raise OAuthError("invalid_token", reason="the authorization server says that the token is not active")
    subject, username = _member(document, "sub", str), _member(document, "username", str)
    expires_at = _member(document, "exp", int)
    if active is None or expires_at is None or (username is not None and not subject):
        raise MalformedClaims("the answer lacks `active`, `exp`, or the `sub` of its `username`")
    principal = Principal(
        user_id=None if username is None else subject,
        props=document.get("props"),
        client_id=_member(document, "client_id", str),
        grant_id=_member(document, "grant_id", str),
        scopes=_scopes(document),
        audience=_audience(document),
        expires_at=expires_at,
    )
    _check_validity(document, issuer, expires_at, now)
    if resource.identifier not in principal.audience:
        raise OAuthError("invalid_token", "The access token is for another resource.")
    return principal


def _check_validity(document: Mapping[str, Any], issuer: str, expires_at: int, now: int) -> None:
    _member(document, "iat", int)
    not_before = _member(document, "nbf", int)
    if _member(document, "iss", str) not in (None, issuer):
        raise OAuthError("invalid_token", reason="the token is of another issuer")
    if now >= expires_at or (not_before is not None and now < not_before):
        raise OAuthError("invalid_token", reason="the token is past its end or before its beginning")
    token_type = _member(document, "token_type", str)
    if "cnf" in document or (token_type is not None and token_type.lower() != "bearer"):
        # It is worth nothing without a proof of possession, and a Bearer call brings none (RFC 9449 section 7.2).
        raise OAuthError("invalid_token", reason="the token is bound to a key")


def _member(document: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    value = document.get(name)
    if name in document and type(value) is not kind:
        raise MalformedClaims(f"the member `{name}` of the answer has the wrong type")
    return value


def _audience(document: Mapping[str, Any]) -> tuple[str, ...]:
    audience = document.get("aud", [])
    values = [audience] if isinstance(audience, str) else audience
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise MalformedClaims("the member `aud` of the answer has the wrong type")
    return tuple(values)


def _scopes(document: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return parse_scope(_member(document, "scope", str) or None)
    except OAuthError as error:
        raise MalformedClaims("the member `scope` of the answer is malformed") from error
