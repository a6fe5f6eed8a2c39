"""The wire form of tokens, codes and client secrets: prefix, grant id, random characters, checksum.

The checksum lets a secret scanner tell a token from noise, and lets this server refuse noise without a look-up. It
protects nothing: whoever wants to forge a token can compute it.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import crc32
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["access", "refresh", "code", "client_secret", "initial_access", "registration_access"]

GRANT_ID_BYTES = 12
FAMILY_BYTES = 16
SECRET_BYTES = 32

_PREFIX_LENGTH = 4
_GRANT_ID_END = _PREFIX_LENGTH + 16
_FAMILY_END = _GRANT_ID_END + 22
_CHECKSUM_LENGTH = 6

_KINDS: dict[tuple[str, int], Kind] = {
    ("gwa_", 69): "access",
    ("gwr_", 91): "refresh",
    ("gwc_", 69): "code",
    ("gws_", 53): "client_secret",
    ("gwi_", 53): "initial_access",
    ("gwm_", 53): "registration_access",
}
_WITHOUT_GRANT = frozenset({"client_secret", "initial_access", "registration_access"})
_MAX_LENGTH = max(length for _, length in _KINDS)
_ALPHABET = re.compile(r"[A-Za-z0-9\-_]+")
_FAMILY_ENDINGS = "AQgw"  # the last of 22 characters carries two bits


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """A well-formed token, which need not exist. `grant_id` is "" where none is in it, `family` b"" unless refresh."""

    kind: Kind
    grant_id: str
    family: bytes
    text: str = field(repr=False)


def format_grant_id(random: bytes) -> str:
    """A grant id of 16 base64url characters, from 12 random bytes."""
    return _base64url(random, GRANT_ID_BYTES)


def format_access_token(grant_id: str, secret: bytes) -> str:
    """An access token of this grant, from 32 random bytes."""
    return _assemble("gwa_" + grant_id + _base64url(secret, SECRET_BYTES))


def format_refresh_token(grant_id: str, family: bytes, secret: bytes) -> str:
    """A refresh token of this grant, from the 16 bytes all its refresh tokens share and 32 random ones."""
    return _assemble("gwr_" + grant_id + _base64url(family, FAMILY_BYTES) + _base64url(secret, SECRET_BYTES))


def format_code(grant_id: str, secret: bytes) -> str:
    """An authorization code of this grant, from 32 random bytes."""
    return _assemble("gwc_" + grant_id + _base64url(secret, SECRET_BYTES))


def format_client_secret(secret: bytes) -> str:
    """A client secret, from 32 random bytes."""
    return _assemble("gws_" + _base64url(secret, SECRET_BYTES))


def format_initial_access_token(secret: bytes) -> str:
    """An initial access token (RFC 7591 section 3), from 32 random bytes."""
    return _assemble("gwi_" + _base64url(secret, SECRET_BYTES))


def format_registration_access_token(secret: bytes) -> str:
    """A registration access token (RFC 7592 section 3), from 32 random bytes."""
    return _assemble("gwm_" + _base64url(secret, SECRET_BYTES))


def parse_token(text: str) -> ParsedToken | None:
    """The parts of a token of ours; None for any other text. Knows nothing of whether the token is valid."""
    length = len(text)
    if length > _MAX_LENGTH:
        return None
    kind = _KINDS.get((text[:_PREFIX_LENGTH], length))
    if kind is None or not _ALPHABET.fullmatch(text):
        return None
    if text[-_CHECKSUM_LENGTH:] != _checksum(text[:-_CHECKSUM_LENGTH]):
        return None
    if kind in _WITHOUT_GRANT:
        return ParsedToken(kind, "", b"", text)
    if kind != "refresh":
        return ParsedToken(kind, text[_PREFIX_LENGTH:_GRANT_ID_END], b"", text)
    family = text[_GRANT_ID_END:_FAMILY_END]
    if family[-1] not in _FAMILY_ENDINGS:
        return None
    return ParsedToken(kind, text[_PREFIX_LENGTH:_GRANT_ID_END], urlsafe_b64decode(family + "=="), text)


def _base64url(data: bytes, size: int) -> str:
    if len(data) != size:
        raise ValueError(f"{size} bytes are wanted here, not {len(data)}.")
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _checksum(body: str) -> str:
    return _base64url(crc32(body.encode()).to_bytes(4, "big"), 4)


def _assemble(body: str) -> str:
    text = body + _checksum(body)
    if (body[:_PREFIX_LENGTH], len(text)) not in _KINDS:
        raise ValueError("A grant id has 16 characters.")
    return text
