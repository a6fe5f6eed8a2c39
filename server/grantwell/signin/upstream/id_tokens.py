"""ID tokens: a signed JWT that says who signed in, for this client and this attempt (OpenID Connect Core 3.1.3.7)."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ...config import CLOCK_SKEW, ED25519_NAMES
from ...crypto import equal
from .failures import UpstreamRefusal

MAX_AGE_SECONDS = 600
"""How old an ID token may be that has just been asked for."""

_MAX_LENGTH = 65_536
_PART = re.compile(r"[A-Za-z0-9\-_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdToken:
    """A well-formed ID token; nothing in it is proven before its signature is. `key_id` is None without one."""

    text: str = field(repr=False)
    algorithm: str
    key_id: str | None
    claims: Mapping[str, Any] = field(repr=False)


def parse_id_token(text: object) -> IdToken:
    """Read a JWS in compact serialization whose payload is an object (RFC 7519 section 7.2). Raises UpstreamRefusal.

    Keys that its header carries or points to are not looked at; critical extensions are refused, none being known.
    """
    parts = text.split(".", 3) if isinstance(text, str) and len(text) <= _MAX_LENGTH else []
    if not isinstance(text, str) or len(parts) != 3:
        raise _bad("it is no signed JWT")
    header, claims, _ = _object(parts[0]), _object(parts[1]), _octets(parts[2])
    algorithm, key_id = header.get("alg"), header.get("kid")
    if "crit" in header or "b64" in header:
        raise _bad("its header has an extension that is not understood")
    if not isinstance(algorithm, str) or not (key_id is None or isinstance(key_id, str)):
        raise _bad("its header cannot be used")
    # RFC 8725 section 3.11: another kind of token says so. Those that say nothing are usual.
    if header.get("typ", "JWT") not in ("JWT", "jwt"):
        raise _bad("it is another kind of JWT")
    return IdToken(text=text, algorithm=algorithm, key_id=key_id, claims=claims)


def check_id_token(
    token: IdToken, *, issuer: str, client_id: str, nonce: str, access_token: str | None, now: int
) -> str:
    """Hold the claims against what was asked for; the subject. Its signature is the caller's to prove.

    `now` is in seconds since 1970 UTC. Raises UpstreamRefusal.
    """
    claims = token.claims
    if claims.get("iss") != issuer:
        raise _bad("it is from another issuer")
    _check_audience(claims, client_id)
    if _instant(claims, "exp") <= now - CLOCK_SKEW:
        raise _bad("it has expired")
    issued_at = _instant(claims, "iat")
    if not now - MAX_AGE_SECONDS - CLOCK_SKEW <= issued_at <= now + CLOCK_SKEW:
        raise _bad("it was not issued just now")
    if "nbf" in claims and _instant(claims, "nbf") > now + CLOCK_SKEW:
        raise _bad("it is not valid yet")
    if not _is(claims.get("nonce"), nonce):
        raise _bad("it is for another attempt")
    if "at_hash" in claims and not _is(claims["at_hash"], _half_hash(token.algorithm, access_token or "")):
        raise _bad("it belongs to another access token")
    return checked_subject(claims)


def checked_subject(claims: Mapping[str, Any]) -> str:
    """The claim `sub` (section 2: at most 255 characters). Raises UpstreamRefusal."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise _bad("it has no usable subject")
    return subject


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    if client_id not in listed:
        raise _bad("it is for another client")
    # Items 3 to 5: of several audiences, the one it was issued to must be named, and be this one.
    if claims.get("azp", client_id) != client_id or (len(listed) > 1 and "azp" not in claims):
        raise _bad("it was issued to another client")


def _is(told: object, wanted: str) -> bool:
    return isinstance(told, str) and equal(told.encode("utf-8", "surrogatepass"), wanted.encode())


def _half_hash(algorithm: str, access_token: str) -> str:
    """Section 3.1.3.6: the left half of the hash that goes with the signature algorithm."""
    digest = (hashlib.sha512 if algorithm in ED25519_NAMES else hashlib.sha256)(access_token.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _instant(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _bad(f"{name} is missing, or no number")
    return value


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_octets(part), object_pairs_hook=_members, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _bad("a part of it is not JSON") from None
    if not isinstance(value, dict):
        raise _bad("a part of it is no object")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name stands twice")
    return members


def _no_number(name: str) -> NoReturn:
    raise ValueError("a number is none")


def _octets(part: str) -> bytes:
    # In the one spelling of RFC 7515 section 2, so that a token has one spelling.
    if _PART.fullmatch(part) and len(part) % 4 != 1:
        octets = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        if equal(urlsafe_b64encode(octets).rstrip(b"="), part.encode()):
            return octets
    raise _bad("a part of it is not base64url")


def _bad(what: str) -> UpstreamRefusal:
    return UpstreamRefusal("invalid_id_token", f"the ID token is refused: {what}")
