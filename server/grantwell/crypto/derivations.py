"""What everything else is derived with: digests of tokens, HKDF, and the one encoding of typed fields."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Literal

from ..records import Digest

TokenKind = Literal["access", "refresh", "code", "client_secret", "initial_access", "registration_access"]
MacField = str | bytes | int | bool | None | tuple["MacField", ...]

_DIGEST_LABEL = b"grantwell/token-id/v1\0"
_CLAIM_LABEL = b"grantwell/claim/v1\0"


def digest_of(kind: TokenKind, token: str) -> Digest:
    """What the database keeps of a token: SHA-256 over label, kind and token, so that kinds cannot be confused."""
    return Digest(hashlib.sha256(_DIGEST_LABEL + kind.encode() + b"\0" + token.encode()).digest())


def family_digest(family: bytes) -> Digest:
    """What the database keeps of the value that all refresh tokens of a grant share."""
    return Digest(hashlib.sha256(_DIGEST_LABEL + b"family\0" + family).digest())


def claim_digest(purpose: str, issuer: str, jti: str) -> Digest:
    """Under what an assertion is remembered that may be used once: by whom it was made, for what, and its id."""
    return Digest(hashlib.sha256(_CLAIM_LABEL + canonical([purpose, issuer, jti])).digest())


def equal(left: bytes, right: bytes) -> bool:
    """Whether two byte strings are equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(left, right)


def hkdf_sha256(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    """32 bytes derived from `key` (RFC 5869 with SHA-256; one block is all that is ever needed here)."""
    pseudorandom_key = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(pseudorandom_key, info + b"\x01", "sha256")


def canonical(fields: Iterable[MacField]) -> bytes:
    """An injective encoding of typed fields: their Python literals in ASCII, from which they could be read again."""
    return ascii(tuple(fields)).encode("ascii")
