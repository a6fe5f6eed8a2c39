"""The edges that random inputs seldom meet: what is read at a limit, and refused one step beyond it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.properties.parsers import FORM, PARSERS
from tests.properties.request_grammar import base64_of, base64url, form_encoded
from tests.properties.scanning import Read, Refused

requirement = pytest.mark.requirement

BY_NAME = {parser.name: parser for parser in PARSERS}
URI = "https://c1.test/cb"


def _basic(client_id: str, secret: str) -> bytes:
    halves = b":".join(form_encoded([(half, "")])[:-1] for half in (client_id, secret))
    return b"Basic " + base64_of(halves).encode()


def _metadata(**members: Any) -> bytes:
    return json.dumps({"redirect_uris": [URI]} | members).encode()


def _assertion(size: int = 0, **header: Any) -> bytes:
    """An assertion of at least so many characters; three bytes are four of them, so that any size can be met."""
    parts = [json.dumps({"alg": "ES256"} | header).encode(), b"{ }"]
    head = ".".join(map(base64url, parts))
    return f"{head}.{'A' * max(size - len(head) - 1, 4)}".encode()


def _nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def _object(size: int) -> bytes:
    return json.dumps(dict.fromkeys(map(str, range(size)))).encode()


def _uris(count: int) -> list[str]:
    return [f"{URI}{number}" for number in range(count)]


def _names(count: int) -> str:
    return " ".join(f"s{number}" for number in range(count))


LIMITS: list[tuple[str, bytes, bytes]] = [
    ("url", b"https://c1.test/" + b"a" * 2032, b"https://c1.test/" + b"a" * 2033),
    ("url", b"https://" + b"a." * 126 + b"b", b"https://" + b"a." * 126 + b"bc"),
    ("url", b"https://" + b"a" * 63, b"https://" + b"a" * 64),
    ("url", b"https://c1.test:65535", b"https://c1.test:65536"),
    ("url", b"https://c1.test:1", b"https://c1.test:0"),
    ("client-id-url", b"https://c1.test/" + b"a" * 2032, b"https://c1.test/" + b"a" * 2033),
    ("redirect-uri", b"https://c1.test/" + b"a" * 2032, b"https://c1.test/" + b"a" * 2033),
    ("redirect-uri", b"a.b://" + b"h" * 253, b"a.b://" + b"h" * 254),
    ("redirect-uri", b"a." + b"b" * 61 + b":/", b"a." + b"b" * 62 + b":/"),
    ("form", b"&".join([b"a=1"] * 32), b"&".join([b"a=1"] * 33)),
    ("form", b"&" * 31, b"&" * 32),
    ("form", b"%C3%BC" * 128 + b"=1", b"%C3%BC" * 129 + b"=1"),
    ("basic", _basic("a" * 512, "b" * 512), _basic("a" * 512, "b" * 513)),
    ("basic", _basic("\u00fc" * 256, "\u00fc" * 256), _basic("\u00fc" * 256 + "a", "b")),
    ("bearer", b"\nBearer " + b"a" * 512, b"\nBearer " + b"a" * 513),
    ("bearer", b"\nBearer " + b" " * 57 + b"a" * 512, b"\nBearer " + b" " * 58 + b"a" * 512),
    ("scope", _names(64).encode(), _names(65).encode()),
    ("scope", b"a" * 128, b"a" * 129),
    ("code-challenge", b"A" * 43 + b"\nS256", b"A" * 44 + b"\nS256"),
    ("code-challenge", b"A" * 43 + b"\nS256", b"A" * 42 + b"\nS256"),
    ("code-verifier", b"a" * 43, b"a" * 42),
    ("code-verifier", b"~" * 128, b"~" * 129),
    ("media-type", FORM.encode() + b" " * 81 + b";charset=utf-8", FORM.encode() + b" " * 82 + b";charset=utf-8"),
    ("json", _nested(8), _nested(9)),
    ("json", b'{"a":9007199254740991}', b'{"a":9007199254740992}'),
    ("json", b'{"a":-9007199254740991}', b'{"a":-9007199254740992}'),
    ("json", b'{"a":1e308}', b'{"a":1e309}'),
    ("json", _object(256), _object(257)),
    ("assertion", _assertion(16_384, kid="kkk"), _assertion(16_385, kid="kkk")),
    ("assertion", _assertion(kid="k" * 255), _assertion(kid="k" * 256)),
    ("assertion", _assertion(typ="t"), _assertion(typ="")),
    ("metadata", _metadata(redirect_uris=_uris(20)), _metadata(redirect_uris=_uris(21))),
    ("metadata", _metadata(redirect_uris=[URI]), _metadata(redirect_uris=[])),
    ("metadata", _metadata(client_name="\u00fc" * 100), _metadata(client_name="\u00fc" * 101)),
    ("metadata", _metadata(software_id="x" * 255), _metadata(software_id="x" * 256)),
    ("metadata", _metadata(contacts=["a@b"] * 10), _metadata(contacts=["a@b"] * 11)),
    (
        "metadata",
        _metadata(grant_types=["authorization_code"] * 32),
        _metadata(grant_types=["authorization_code"] * 33),
    ),
    ("metadata", _metadata(jwks={"keys": [{"kty": "EC"}] * 20}), _metadata(jwks={"keys": [{"kty": "EC"}] * 21})),
    ("metadata", _metadata(jwks={"keys": [{"x": "a" * 16_371}]}), _metadata(jwks={"keys": [{"x": "a" * 16_376}]})),
    ("metadata", _metadata(scope=_names(63) + " read"), _metadata(scope=_names(64) + " read")),
    (
        "metadata",
        _metadata(**{f"client_name#a{n}": "x" for n in range(32)}),
        _metadata(**{f"client_name#a{n}": "x" for n in range(33)}),
    ),
]


@requirement("D-17", "D-18", "A-157", "A-160", "A-027", "A-103")
@pytest.mark.parametrize(
    ("name", "inside", "outside"), LIMITS, ids=[f"{name}-{number}" for number, (name, _, _) in enumerate(LIMITS)]
)
def test_a_limit_is_read_and_what_is_beyond_it_refused(name: str, inside: bytes, outside: bytes) -> None:
    parser = BY_NAME[name]
    assert isinstance(parser.verdict(inside), Read)
    assert isinstance(parser.verdict(outside), Refused)
    assert parser.complaint(inside) is None
    assert parser.complaint(outside) is None
