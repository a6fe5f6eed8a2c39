"""A few sentences for each parser, to be varied systematically; some inside of an encoding or a checksum."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.properties.parsers import bytes_of, text_of
from tests.properties.request_grammar import base64_of, base64url, s256, with_checksum

_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # of RFC 7636 appendix B

SEEDS: dict[str, tuple[bytes, ...]] = {
    "url": (
        b"https://c1.test:8443/b/%C3%BC;v=1?a=1&b#f",
        b"HTTP://[2001:db8::192.0.2.1]:80/",
        b"https://192.0.2.1/a..b/%2e?",
        b"https://a.b/",
    ),
    "client-id-url": (b"https://c1.test/client.json?v=1", b"https://[::1]:8443/c/%2a%3f"),
    "redirect-uri": (
        b"https://c1.test/cb?x=code&y=%26",
        b"http://127.0.0.1:51004/cb",
        b"http://[::1]/a/b",
        b"http://localhost/a?b",
        b"com.example.app:/cb?x=1",
        b"com.example.app://host:99/a/b",
        b"vscode://vscode.x/y?windowId=1",
    ),
    "redirect-match": (
        b"http://127.0.0.1:51004/c?x\nhttp://127.0.0.1/c?x",
        b"http://[::1]:1/\na.b:/\nhttp://[::1]/",
        b"https://a.test/\nhttps://a.test/",
    ),
    "resource": (b"https://as.test/api", b"HTTPS://AS.test:443/", b"https://as.test/Other", b"https://as.test"),
    "form": (b"grant_type=x&resource=a&resource=b", b"a=%C3%BC+%26&b&=c&&", b"state=%F0%9F%98%80;x=1"),
    "basic": (b"Basic czE6czI=", b"basic  YToxOmM="),
    "bearer": (b"\nBearer abc-._~+/==", b"a=1&access%5Ftoken=\nbearer  abc", b"\nBasic czpz", b"a=1"),
    "scope": (b"read write", b"mcp:tools/call read read"),
    "code-challenge": (f"{s256(_VERIFIER)}\nS256".encode(),),
    "code-verifier": (_VERIFIER.encode(),),
    "proof": (f"{_VERIFIER}\n{s256(_VERIFIER)}".encode(),),
    "token": (with_checksum(f"gws_{'b' * 43}").encode(),),
    "media-type": (b'application/x-www-form-urlencoded ;\tcharset="UTF-8"', b"Application/x-www-form-urlencoded"),
    "json": (
        b'{"a": [1, -0.5e3, null, "\\ud83d\\ude00"], "b": "]}\\"[{"}',
        b'{"n":9007199254740991,"m":"\xc3\xbc\\n"}',
    ),
    "assertion": (b"eyJhbGciOiJFUzI1NiJ9.e30.AA",),
}  # fmt: skip
"""By the name of the parser."""

NEARLY: dict[str, tuple[bytes, ...]] = {
    "url": (b"https://a.0x7f/", b"https://1.2.3.256/", b"https://[1::2::3]/", b"https://[::1.2.3.4:5]/", b"ftp://a.b/"),
    "client-id-url": (b"https://c1.test//", b"https://c1.test/a%5cb", b"https://C1.test/a", b"http://c1.test/a"),
    "redirect-uri": (b"http://c1.test/cb", b"HTTPS://c1.test/cb", b"a:/b", b"a.b:c", b"https://c1.test/a/..%2fb"),
    "redirect-match": (
        b"http://a.test:1/\nhttp://a.test/",
        b"https://[::1]:1/\nhttps://[::1]/",
        b"http://127.0.0.1/?a\nhttp://127.0.0.1/?b",
        b"http://localhost/#a\nhttp://localhost/#a\nhttp://localhost:1/#a",
    ),
    "resource": (b"https://as.test/api/", b"https://as.test/api?", b"http://as.test/api", b"https://as.test/other"),
    "form": (b"a=%7F", b"a=%C0%80", b"%ZZ=1"),
    "basic": (b"Basic YTpi=", b"Basic YTpiYh==", b"Basic OmI=", b"Basic YTo=", b"Digest YTpi"),
    "json": (b"\xef\xbb\xbf{}", b"[]", b'{"a":1,"a":1}', b'{"a":"\\ud800"}', b'{"a":NaN}'),
}
"""By the name of the parser, what is no sentence, but may become one."""

_URI = "https://c1.test/cb"
_KEYS = {"keys": [{"kty": "EC", "kid": "1"}]}
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUTH = "token_endpoint_auth"

METADATA: tuple[dict[str, Any], ...] = (
    {"redirect_uris": [_URI], "client_name": "A", "client_name#de": "B", "scope": "read", "contacts": ["a@b"]},
    {
        "redirect_uris": ["a.b:/"],
        "logo_uri": _URI,
        "tos_uri#de-AT": _URI,
        "application_type": "native",
        "software_id": "s",
    },
    {"redirect_uris": [_URI], "jwks": _KEYS, f"{_AUTH}_method": "private_key_jwt", f"{_AUTH}_signing_alg": "ES256"},
    {"redirect_uris": [_URI], "jwks_uri": _URI, f"{_AUTH}_methods_supported": ["private_key_jwt", "none"]},
    {"redirect_uris": [_URI], f"{_AUTH}_method": "none", "grant_types": ["authorization_code", _JWT_BEARER]},
    {"redirect_uris": [_URI], "grant_types": ["authorization_code", "refresh_token", _JWT_BEARER, "implicit"]},
    {"redirect_uris": [_URI], f"{_AUTH}_signing_alg": "x", f"{_AUTH}_signing_alg_values_supported": ["x", "y"]},
)
"""Client metadata, whose slips are made member by member."""

SEEDS["metadata"] = tuple(json.dumps(document).encode() for document in METADATA)


def _token(data: bytes) -> bytes:
    text = text_of(data)
    return bytes_of(with_checksum(text)) if text.isascii() else data


def _basic(data: bytes) -> bytes:
    return b"Basic " + base64_of(data).encode()


def _assertion(data: bytes) -> bytes:
    return ".".join(base64url(part) for part in data.split(b"\n")).encode()


def _proof(data: bytes) -> bytes:
    verifier = text_of(data)
    return f"{verifier}\n{s256(verifier)}".encode() if verifier.isascii() else data


Dress = Callable[[bytes], bytes]

DRESSED: dict[str, tuple[Dress, tuple[bytes, ...]]] = {
    "basic": (_basic, (b"c%20+1:%3as", b"id:secret:%C3%BC")),
    "token": (
        _token,
        (
            f"gwa_{'A' * 59}".encode(),
            f"gwi_{'A' * 43}".encode(),
            f"gwr_{'b' * 16}{'c' * 21}Q{'d' * 43}".encode(),
        ),
    ),
    "proof": (_proof, (_VERIFIER.encode(),)),
    "assertion": (
        _assertion,
        (b'{"alg":"E","kid":"1"}\n{"a":1}\ns', b'{"alg":"x","typ":"J"}\n{}\n\x00'),
    ),
}
"""By the name of the parser, what hides its inputs from a variation of bytes, and what to vary inside of it."""
