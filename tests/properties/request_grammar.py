"""What a request carries: form fields, credentials, scopes, proof keys, tokens, media types, each by its ABNF."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.properties import json_grammar
from tests.properties.scanning import ALPHA, DIGIT, HEXDIG, TCHAR, VCHAR, Reader, utf8

MAX_FIELDS = 32
MAX_NAME = 128
MAX_CREDENTIAL = 512
MAX_BASIC = 4132
"""Two credentials of 512 bytes, each byte percent-encoded, in base64, and 32 bytes around them."""
MAX_SCOPES = 64
MAX_SCOPE = 128

TOKENS = {
    "gwa_": "access",
    "gwr_": "refresh",
    "gwc_": "code",
    "gws_": "client_secret",
    "gwi_": "initial_access",
    "gwm_": "registration_access",
}
"""What a token of ours begins with, and what it is then."""
OF_A_GRANT = ("access", "refresh", "code")

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64URL = _BASE64[:-2] + "-_"
_UNRESERVED = ALPHA | DIGIT | frozenset("-._~")
_SCOPE_CHARACTERS = VCHAR - frozenset('"\\')

Fields = tuple[tuple[str, str], ...]


def form(raw: bytes) -> Fields | None:
    """The fields of application/x-www-form-urlencoded as RFC 6749 appendix B has it, by name in the order of names."""
    pieces = raw.split(b"&")
    if len(pieces) > MAX_FIELDS:
        return None
    fields: list[tuple[str, str]] = []
    for piece in pieces:
        if piece:
            name, value = (form_component(part) for part in _halves(piece, b"="))
            if name is None or value is None or len(name) > MAX_NAME:
                return None
            fields.append((name, value))
    order = list(dict.fromkeys(name for name, _ in fields))
    return tuple(sorted(fields, key=lambda field: order.index(field[0])))


def form_component(raw: bytes) -> str | None:
    """One name or value, decoded: printable ASCII, `+` a space, escapes of anything but ASCII control characters."""
    decoded = bytearray()
    at = 0
    while at < len(raw):
        byte = raw[at : at + 1]
        if byte == b"%":
            digits = raw[at + 1 : at + 3].decode("latin-1")
            if len(digits) != 2 or not set(digits) <= HEXDIG or int(digits, 16) < 0x20 or int(digits, 16) == 0x7F:
                return None
            decoded.append(int(digits, 16))
            at += 3
        elif b" " <= byte <= b"~":
            decoded += b" " if byte == b"+" else byte
            at += 1
        else:
            return None
    return utf8(bytes(decoded))


def authorization_scheme(header: bytes) -> str:
    """The scheme of a credential, in lower case: the token that it begins with (RFC 9110 section 11.4)."""
    return Reader(header.decode("latin-1")).run(TCHAR).lower()


def basic(header: bytes) -> tuple[str, str] | None:
    """The client and its secret in `"Basic" 1*SP token68` (RFC 7617 section 2, RFC 6749 section 2.3.1)."""
    reader = Reader(header.decode("latin-1"))
    if len(header) > MAX_BASIC or not reader.literal("basic", any_case=True) or not reader.run(frozenset(" ")):
        return None
    decoded = base64(reader.rest)
    if decoded is None or b":" not in decoded:
        return None
    client_id, secret = (form_component(half) for half in _halves(decoded, b":"))
    if not client_id or not secret or max(len(client_id.encode()), len(secret.encode())) > MAX_CREDENTIAL:
        return None
    return client_id, secret


def bearer(headers: Sequence[bytes], query: bytes) -> str | None:
    """The token in the Authorization headers, "" where they hold none; None if the request is malformed.

    `"Bearer" 1*SP b64token` of RFC 6750 section 2.1, of at most 512 characters; a token in the query makes two.
    """
    if len(headers) > 1:
        return None
    if not headers or authorization_scheme(headers[0]) != "bearer":
        return ""
    reader = Reader(headers[0].decode("latin-1"))
    reader.literal("bearer", any_case=True)
    spaces = reader.run(frozenset(" "))
    token = reader.run(_UNRESERVED | frozenset("+/"))
    padding = reader.run(frozenset("="))
    is_token = spaces and token and reader.ended and len(token + padding) <= 512 and len(headers[0]) <= 576
    return token + padding if is_token and not _has_token(query) else None


def scope(text: str) -> tuple[str, ...] | None:
    """`scope-token *( SP scope-token )` of RFC 6749 section 3.3, each scope once."""
    scopes: list[str] = []
    for token in text.split(" "):
        if not 1 <= len(token) <= MAX_SCOPE or not set(token) <= _SCOPE_CHARACTERS:
            return None
        scopes.append(token)
    return tuple(sorted(set(scopes), key=scopes.index)) if len(scopes) <= MAX_SCOPES else None


def code_challenge(challenge: str, method: str) -> bool:
    """Whether it is an S256 challenge: 256 bits in base64url (RFC 7636 section 4.2)."""
    return method == "S256" and len(challenge) == 43 and set(challenge) <= set(_BASE64URL)


def code_verifier(verifier: str) -> bool:
    """`43*128unreserved` (RFC 7636 section 4.1)."""
    return 43 <= len(verifier) <= 128 and set(verifier) <= _UNRESERVED


def s256(verifier: str) -> str:
    """The challenge of a verifier (RFC 7636 section 4.2)."""
    return base64url(hashlib.sha256(verifier.encode("ascii")).digest())


@dataclass(frozen=True, slots=True)
class Token:
    """A token of ours, taken apart."""

    kind: str
    grant_id: str
    family: bytes


def token(text: str) -> Token | None:
    """`prefix [ grant id of 96 bits ] [ family of 128 bits ] secret of 256 bits, checksum`, of its kind."""
    kind = TOKENS.get(text[:4], "")
    body, checksum = text[4:-6], text[-6:]
    grant, family = 16 if kind in OF_A_GRANT else 0, 22 if kind == "refresh" else 0
    if not kind or len(body) != grant + family + 43 or not set(body + checksum) <= set(_BASE64URL):
        return None
    if with_checksum(text[:-6]) != text:
        return None
    octets = octets_of(body[grant : grant + family])
    return None if octets is None else Token(kind, body[:grant], octets)


def with_checksum(body: str) -> str:
    """The token that begins so, with the CRC-32 that ends it."""
    return body + base64url(_crc32(body.encode()).to_bytes(4, "big"))


def assertion(text: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Header and claims of a compact JWS whose payload is a JSON object (RFC 7515 sections 3.1 and 7.1)."""
    parts = [octets_of(part) if part else None for part in text.split(".")]
    if len(text) > 16_384 or len(parts) != 3 or any(part is None for part in parts):
        return None
    header, claims = (json_grammar.json_object(part or b"") for part in parts[:2])
    if header is None or claims is None or "crit" in header or "b64" in header:
        return None
    named = [header[name] for name in ("alg", "kid", "typ") if name in header]
    usable = all(isinstance(name, str) and 1 <= len(name) <= 255 for name in named)
    return (header, claims) if usable and "alg" in header else None


def media_type(text: str, wanted: str) -> bool:
    """Whether it is this media type, in any case, with no parameter but one charset of UTF-8 (RFC 9110 8.3.1)."""
    reader = Reader(text)
    if len(text) > 128 or not reader.literal(wanted, any_case=True):
        return False
    if reader.ended:
        return True
    reader.run(frozenset(" \t"))
    if not reader.literal(";"):
        return False
    reader.run(frozenset(" \t"))
    charsets = (f"charset={quote}utf-8{quote}" for quote in ("", '"'))
    return any(reader.literal(charset, any_case=True) for charset in charsets) and reader.ended


def base64(text: str) -> bytes | None:
    """The octets of canonical base64 with padding: bits that mean nothing are zero (RFC 4648 section 3.5)."""
    digits = text.rstrip("=")
    if not set(digits) <= set(_BASE64) or len(text) % 4 or len(text) - len(digits) > 2:
        return None
    bits = "".join(f"{_BASE64.index(digit):06b}" for digit in digits)
    whole = len(bits) // 8 * 8
    if "1" in bits[whole:]:
        return None
    return bytes(int(bits[at : at + 8], 2) for at in range(0, whole, 8))


def base64_of(octets: bytes) -> str:
    """The octets in base64 (RFC 4648 section 4)."""
    digits = _sextets(octets, _BASE64)
    return digits + "=" * (-len(digits) % 4)


def base64url(octets: bytes) -> str:
    """The octets in base64url without padding (RFC 4648 section 5)."""
    return _sextets(octets, _BASE64URL)


def form_encoded(fields: Iterable[tuple[str, str]]) -> bytes:
    """The fields as a form, everything but letters and digits escaped."""
    return b"&".join(b"=".join(_escaped(part) for part in field) for field in fields)


def octets_of(text: str) -> bytes | None:
    """The octets that canonical base64url without padding spells (RFC 7515 section 2); None for anything else."""
    if "=" in text or "+" in text or "/" in text:
        return None
    return base64(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4))


def _sextets(octets: bytes, alphabet: str) -> str:
    bits = "".join(f"{octet:08b}" for octet in octets)
    bits += "0" * (-len(bits) % 6)
    return "".join(alphabet[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def _escaped(text: str) -> bytes:
    return b"".join(
        bytes([byte]) if chr(byte) in ALPHA | DIGIT else b"+" if byte == 0x20 else b"%%%02X" % byte
        for byte in text.encode()
    )


def _halves(raw: bytes, separator: bytes) -> tuple[bytes, bytes]:
    at = raw.find(separator)
    return (raw, b"") if at < 0 else (raw[:at], raw[at + len(separator) :])


def _has_token(query: bytes) -> bool:
    """Whether a query has an access_token with a value, by a lenient reading: it is another application's query."""
    for name, value in (_halves(piece, b"=") for piece in query.split(b"&")):
        plain = bytearray()
        at = 0
        while at < len(name):
            digits = name[at + 1 : at + 3].decode("latin-1")
            is_escape = name[at : at + 1] == b"%" and len(digits) == 2 and set(digits) <= HEXDIG
            plain.append(int(digits, 16) if is_escape else name[at])
            at += 3 if is_escape else 1
        if value and plain == b"access_token":
            return True
    return False


def _divided(byte: int) -> int:
    """What a byte leaves behind, divided by the polynomial of ISO 3309, bit by bit."""
    for _ in range(8):
        byte = byte >> 1 ^ (0xEDB88320 if byte & 1 else 0)
    return byte


_REMAINDERS = tuple(map(_divided, range(256)))


def _crc32(data: bytes) -> int:
    """CRC-32 of ISO 3309."""
    register = 0xFFFFFFFF
    for byte in data:
        register = register >> 8 ^ _REMAINDERS[(register ^ byte) & 0xFF]
    return register ^ 0xFFFFFFFF
