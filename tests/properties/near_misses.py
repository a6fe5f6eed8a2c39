"""Inputs that are almost sentences: with one slip, each that there is, or with one to three by chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

# What has broken parsers: other spellings of what matters, blanks, controls, look-alikes, numbers that are none.
FRAGMENTS: tuple[bytes, ...] = (
    *(b"/", b"//", b"/../", b"/./", b"..", b"..;/", b"/.", b"%2e", b"%2e%2e", b"%2F", b"/..%2f", b"%5c", b"\\"),
    *(b";", b":", b"@", b"?", b"#", b"&", b"=", b"*", b"%", b"%0", b"%zz", b"%00", b"%0a", b"%1f", b"%7F", b"%C3"),
    *(b"%C2%85", b"%ED%A0%80", b" ", b"  ", b"\t", b"\n", b"\r\n", b"\x00", b"\x1f", b"\x7f", b"\x85", b"\xa0"),
    *(b"\xff", b"\xc3\xbc", b"a@b", b"\xe2\x80\x8b", b"\xed\xa0\x80", b"\xc5\xbf", b"\xe2\x84\xaa"),
    *(b"\xef\xbb\xbf", b"\xd9\xa1", b"\xef\xbc\x91", b"[::1]", b"[1:2]", b"::", b"127.1", b"0x7f", b".0x", b".0"),
    *(b".1", b"0", b":0", b":080", b":443", b":65536", b":99999", b"http:", b"https://", b"javascript:", b"a.b:"),
    *(b"+", b"?code=", b"?a;STATE=", b"?%63ode", b"&access%5Ftoken=x", b"Basic ", b"Bearer ", b"\nBearer x", b","),
    *(b'"', b"'", b"==", b"-", b"_", b".", b"~", b"A", b"B", b"Z", b"g", b"{", b"}", b"[", b"]", b"null", b"true"),
    *(b"NaN", b"Infinity", b"-0", b"01", b"1.", b"e5", b"1e999", b"9007199254740993", b"\\u0000", b"\\ud800"),
    *(b'"a":1,', b'"\\u0061":1,', b'"\\u0000":1,', b"; charset=utf-8", b"S256", b"plain", b'"crit":[],'),
    *(b'"b64":true,', b'"kid":"",', b'"k":"x",', b'"kty":"oct",', b'"jwks":{"keys":[]},', b"none", b"read"),
    *(b"\\u200b", b"\\u2800", b"client_credentials", b"offline_access", b"implicit", b"http", b"admin"),
)


def slips(sentence: bytes) -> Iterator[bytes]:
    """The sentence with one slip, every one there is: a fragment put in or instead, bytes left out, another case."""
    yield sentence
    for at in range(len(sentence) + 1):
        before, after = sentence[:at], sentence[at:]
        for fragment in FRAGMENTS:
            yield before + fragment + after
            if after:
                yield before + fragment + after[1:]
        yield from (before, after, before + after[1:], before + after[2:], before + after[:1].swapcase() + after[1:])
        yield from (sentence + after, before + after[:1] + after)


_TEXTS = (
    *("", " ", "x", "read", "offline_access", "read write", "admin", "read  write", "\u00fc", "\u200b"),
    *("\u2800", "A\u202e", "a\nb", "none", "private_key_jwt", "client_secret_post", "tls_client_auth", "RS256"),
    *("HS256", "native", "web", "http://c1.test/", "https://u@c1.test/", "https://c1.test/#f"),
    *("https://c1.test/*", "https://c1.test/?code=1", "javascript:x", "authorization_code", "refresh_token"),
    *("client_credentials", "implicit", "code", "token", "urn:ietf:params:oauth:grant-type:token-exchange"),
    *("https://c1.test/x", "\ufffd" * 90),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 1.5, [], {}, [[]], [None], {"keys": []}, {"keys": None}, {"keys": [1]}, {"keys": {}}),
    *({"keys": [{"kty": "oct"}]}, {"keys": [{"kty": "EC", "d": ""}]}, {"keys": [{"k": 1}, {}]}, {"keys": [{}], "x": 1}),
    *_TEXTS,
    *([text] for text in _TEXTS),
    *(["authorization_code", text] for text in _TEXTS),
    *(["code", "token"], ["code", 1], ["https://c1.test/cb", "https://c1.test/cb"], ["https://c1.test/cb", None]),
)
"""What may stand in a member of client metadata, and mostly must not."""

MEMBERS = (
    *("redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method", "scope", "jwks", "jwks_uri"),
    *("token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg", "contacts", "application_type"),
    *("token_endpoint_auth_signing_alg_values_supported", "client_name", "client_name#de", "client_name#", "logo_uri"),
    *("client_uri", "tos_uri#x-y", "policy_uri#\u00fc", "software_id", "software_version", "software_statement", "#de"),
)


def document_slips(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The document with one member left out, or with another value, or with one that it had not."""
    for member in dict.fromkeys([*document, *MEMBERS]):
        yield {name: value for name, value in document.items() if name != member}
        for value in VALUES:
            yield {**document, member: value}


@st.composite
def near_misses(draw: st.DrawFn, sentence: bytes) -> bytes:
    """The sentence after one to three slips."""
    data = sentence
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 3)))
        match draw(st.sampled_from(["leave out", "put in", "replace", "double", "change case", "any byte", "cut"])):
            case "leave out":
                data = data[:at] + data[end:]
            case "put in":
                data = data[:at] + draw(st.sampled_from(FRAGMENTS)) + data[at:]
            case "replace":
                data = data[:at] + draw(st.sampled_from(FRAGMENTS)) + data[end:]
            case "double":
                data = data[:end] + data[at:]
            case "change case":
                data = data[:at] + data[at:end].swapcase() + data[end:]
            case "any byte":
                data = data[:at] + draw(st.binary(min_size=1, max_size=1)) + data[end:]
            case _:
                data = data[:at]
    return data
