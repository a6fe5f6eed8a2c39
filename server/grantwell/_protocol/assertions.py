"""JWT assertions (RFC 7521, RFC 7523): read strictly, and held against the rules. Who signed them is not asked here."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._urls import MAX_URL_LENGTH
from ..config import CLOCK_SKEW, DAY
from ..errors import OAuthError
from .json_documents import parse_object
from .scopes import parse_scope

MAX_ASSERTION_LENGTH = 16_384
MAX_CLIENT_ASSERTION_TTL = 3600
MAX_CLIENT_ASSERTION_AGE = DAY
MAX_ID_JAG_TTL = 300
MAX_IDENTIFIER_LENGTH = 255

_PART = re.compile(r"[A-Za-z0-9\-_]+")


class RefusedAssertion(Exception):
    """An assertion that proves nothing to this server.

    `reason` is for the log and repeats nothing of the assertion. It is `invalid_client` where the assertion was to
    authenticate a client, and `invalid_grant` where it was a grant (RFC 7523 sections 3.1 and 3.2).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MalformedAssertion(RefusedAssertion):
    """A text that is no signed JWT, or one of a form that is not understood here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAssertion:
    """A well-formed signed JWT; nothing in it is proven before its signature is."""

    text: str = field(repr=False)
    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The signature algorithm that the header names, supported or not (RFC 7515 section 4.1.1)."""
        algorithm: str = self.header["alg"]
        return algorithm

    @property
    def key_id(self) -> str | None:
        """The id of the key that the header names (RFC 7515 section 4.1.4)."""
        return self.header.get("kid")

    @property
    def issuer(self) -> str | None:
        """The claim `iss`; None without one that is a string."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else None

    @property
    def subject(self) -> str | None:
        """The claim `sub`; None without one that is a string."""
        subject = self.claims.get("sub")
        return subject if isinstance(subject, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionId:
    """What must not be seen twice from one client: its `jti`, until `expires_at` (seconds since 1970 UTC)."""

    jti: str
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IdJag:
    """An Identity Assertion JWT Authorization Grant that fits this server and this client.

    `jti` must not be seen twice from one issuer until `expires_at` (seconds since 1970 UTC). `scopes` is None and
    `resource` is empty where the grant does not speak of them. `claims` are all of them, for the mapping of the user.
    """

    issuer: str
    subject: str
    jti: str
    expires_at: int
    scopes: tuple[str, ...] | None
    resource: tuple[str, ...]
    claims: Mapping[str, Any] = field(repr=False)


def parse_assertion(text: str) -> ParsedAssertion:
    """A JWS in compact serialization whose payload is a JSON object (RFC 7515 section 7.1, RFC 7519 section 7.2).

    Each part has one spelling, and no member stands twice. Keys in the header (`jwk`, `jku`, `x5u`, `x5c`) are not
    looked at. Raises MalformedAssertion, also for critical extensions (RFC 7515 section 4.1.11): none is understood.
    """
    if len(text) > MAX_ASSERTION_LENGTH:
        raise MalformedAssertion("the assertion is too long")
    parts = text.split(".", 3)
    if len(parts) != 3:
        raise MalformedAssertion("the assertion has not three parts")
    raw_header, raw_claims, _ = (_decode(part) for part in parts)
    header, claims = _read_object(raw_header, "header"), _read_object(raw_claims, "payload")
    # RFC 7797: `b64` changes what is signed, and must not be used in a JWT.
    if "crit" in header or "b64" in header:
        raise MalformedAssertion("the header of the assertion has an extension that is not understood")
    for name in ("alg", "kid", "typ"):
        if (name in header or name == "alg") and not _is_identifier(header.get(name)):
            raise MalformedAssertion(f"{name} in the header of the assertion is missing or not usable")
    return ParsedAssertion(text=text, header=header, claims=claims)


def check_client_assertion(assertion: ParsedAssertion, *, client_id: str, issuer: str, now: int) -> AssertionId:
    """Hold an assertion that shall authenticate `client_id` against RFC 7523 section 3, as RFC7523bis tightens it.

    `issuer` is this server, `now` is in seconds since 1970 UTC. Its signature is the caller's to prove, and that its
    id is new (RFC 7523 section 3, item 7). Raises RefusedAssertion.
    """
    claims = assertion.claims
    if _type_of(assertion) not in (None, "jwt", "client-authentication+jwt"):
        raise RefusedAssertion("the client assertion is another kind of JWT")
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise RefusedAssertion("iss and sub of the client assertion are not the client")
    _check_audience(claims, issuer)
    expires_at = _check_times(claims, now)
    if expires_at > now + MAX_CLIENT_ASSERTION_TTL + CLOCK_SKEW:
        raise RefusedAssertion("the client assertion lives too long")
    if "iat" in claims and _instant(claims, "iat") < now - MAX_CLIENT_ASSERTION_AGE:
        raise RefusedAssertion("the client assertion is too old")
    return AssertionId(jti=_identifier(claims, "jti"), expires_at=expires_at)


def check_id_jag(assertion: ParsedAssertion, *, client_id: str, issuer: str, now: int) -> IdJag:
    """Hold an ID-JAG that `client_id` presents against draft-ietf-oauth-identity-assertion-authz-grant 3.1 and 4.4.1.

    `issuer` is this server, `now` is in seconds since 1970 UTC. Whether its own issuer is trusted is the caller's to
    decide, as are its signature and that its id is new. Raises RefusedAssertion, for what it would have to honour and
    does not know too: `authorization_details` (RFC 9396) and `cnf` (RFC 7800).
    """
    claims = assertion.claims
    if _type_of(assertion) != "oauth-id-jag+jwt":
        raise RefusedAssertion("the assertion is no ID-JAG")
    granted_by = _identifier(claims, "iss", most=MAX_URL_LENGTH)
    if granted_by == issuer:
        raise RefusedAssertion("the ID-JAG is from this server itself")
    subject = _identifier(claims, "sub")
    _check_audience(claims, issuer)
    if claims.get("client_id") != client_id:
        raise RefusedAssertion("the ID-JAG is for another client")
    expires_at, issued_at = _check_times(claims, now), _instant(claims, "iat")
    if not 0 < expires_at - issued_at <= MAX_ID_JAG_TTL + CLOCK_SKEW:
        raise RefusedAssertion("the ID-JAG lives too long, or ends before it begins")
    if "authorization_details" in claims or "cnf" in claims:
        raise RefusedAssertion("the ID-JAG has authorization_details or cnf, which are not supported")
    return IdJag(
        issuer=granted_by,
        subject=subject,
        jti=_identifier(claims, "jti"),
        expires_at=expires_at,
        scopes=_scopes(claims),
        resource=_resource(claims),
        claims=claims,
    )


def _decode(part: str) -> bytes:
    # Bits that encode nothing must be zero, so that an assertion has one spelling.
    if _PART.fullmatch(part) and len(part) % 4 != 1:
        decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        if urlsafe_b64encode(decoded).rstrip(b"=") == part.encode():
            return decoded
    raise MalformedAssertion("a part of the assertion is not base64url")


def _read_object(raw: bytes, name: str) -> Mapping[str, Any]:
    try:
        return parse_object(raw)
    except ValueError as error:
        raise MalformedAssertion(f"the {name} of the assertion cannot be read: {error}") from None


def _type_of(assertion: ParsedAssertion) -> str | None:
    # RFC 7515 section 4.1.9: a media type, so in any case, and `application/` may be left out.
    declared: str | None = assertion.header.get("typ")
    return None if declared is None else declared.lower().removeprefix("application/")


def _is_identifier(value: object, most: int = MAX_IDENTIFIER_LENGTH) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most


def _identifier(claims: Mapping[str, Any], name: str, most: int = MAX_IDENTIFIER_LENGTH) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not _is_identifier(value, most):
        raise RefusedAssertion(f"{name} of the assertion is missing or not usable")
    return value


def _instant(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RefusedAssertion(f"{name} of the assertion is missing or not an integer")
    return value


def _check_audience(claims: Mapping[str, Any], issuer: str) -> None:
    # By equality of strings: what is nearly our issuer may be somebody else's.
    if claims.get("aud") not in (issuer, [issuer]):
        raise RefusedAssertion("aud of the assertion is not this server alone")


def _check_times(claims: Mapping[str, Any], now: int) -> int:
    """The end of an assertion that has begun and not ended."""
    expires_at = _instant(claims, "exp")
    # Without a tolerance, so that an id need not be remembered past its end.
    if expires_at <= now:
        raise RefusedAssertion("the assertion has expired")
    for name in ("nbf", "iat"):
        if name in claims and _instant(claims, name) > now + CLOCK_SKEW:
            raise RefusedAssertion(f"{name} of the assertion is in the future")
    return expires_at


def _scopes(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    if "scope" not in claims:
        return None
    if not isinstance(claims["scope"], str):
        raise RefusedAssertion("scope of the ID-JAG is no string")
    try:
        return parse_scope(claims["scope"])
    except OAuthError:
        raise RefusedAssertion("scope of the ID-JAG is malformed") from None


def _resource(claims: Mapping[str, Any]) -> tuple[str, ...]:
    if "resource" not in claims:
        return ()
    resource = claims["resource"]
    listed = resource if isinstance(resource, list) else [resource]
    if not listed or not all(_is_identifier(one, MAX_URL_LENGTH) for one in listed):
        raise RefusedAssertion("resource of the ID-JAG is malformed")
    return tuple(listed)
