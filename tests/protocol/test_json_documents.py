"""The JSON reader (threats 1.5, A-102 and A-103): what other parsers would read differently is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.json_documents import is_json, parse_object
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement

MAX_INTEGER = 9_007_199_254_740_991


@requirement("A-104", "S-388")
@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        (None, False),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data", False),
        ("application/json; charset=utf-16", False),
        ("application/json5", False),
        ("application/problem+json", False),
        ("text/plain, application/json", False),
        ("application/j\u017fon", False),
    ],
)
def test_only_application_json_is_json(content_type: str | None, expected: bool) -> None:
    assert is_json(content_type) is expected


def test_an_object_is_read_as_it_is_written() -> None:
    raw = '{"a": [1, -0.5, 1e3, true, null, "ü\\n\\ud83d\\ude00"], "b": {"c": "]}\\"[{"}}'.encode()
    assert parse_object(raw) == json.loads(raw)
    assert parse_object(b" \r\n\t{}\n") == {}


@requirement("A-102")
@pytest.mark.parametrize(
    "raw",
    [
        b'{"redirect_uris":["https://c1.test/cb"],"redirect_uris":["https://evil.test/cb"]}',
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"jwks":{"keys":[{"kty":"RSA","kty":"oct"}]}}',
    ],
)
def test_members_of_the_same_name_are_refused_at_any_depth(raw: bytes) -> None:
    with pytest.raises(ValueError, match="same name"):
        parse_object(raw)


@requirement("A-103", "S-388")
@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 100_000, "nested"),
        (b'{"a":' + b"[" * 8 + b"]" * 8 + b"}", "nested"),
        (b'{"a":[{},[],"]}",{},[],' + b"[" * 7 + b"]" * 7 + b"]}", "nested"),
        (b'{"a":' + b"9" * 5_000 + b"}", "53 bits"),
        (b'{"a":9223372036854775808}', "53 bits"),
        (b'{"a":-9007199254740992}', "53 bits"),
        (b'{"a":9007199254740992}', "53 bits"),
        (b'{"a":NaN}', "not one"),
        (b'{"a":Infinity}', "not one"),
        (b'{"a":-Infinity}', "not one"),
        (b'{"a":1e400}', "too large"),
        (b'{"a":-1e400}', "too large"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":["x\\udc00y"]}', "surrogate"),
        (b'{"\\ud800":1}', "surrogate"),
        (b'{"a":{"\\u0000":1}}', "NUL"),
        (b'{"a":"a\\u0000b"}', "NUL"),
        (b'{"a":"a\x00b"}', "not JSON"),
        (b'{"a":"a\nb"}', "not JSON"),
        ('{"a":1}'.encode("utf-16"), "UTF-8"),
        ('{"a":1}'.encode("utf-16-le"), "not JSON"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "UTF-8"),
        (b"{}{}", "not JSON"),
        (b"{} x", "not JSON"),
        (b"{}\x00", "not JSON"),
        (b"", "not JSON"),
        (b"   ", "not JSON"),
        (b"{", "not JSON"),
        (b"}", "not JSON"),
        (b'{"a":"', "not JSON"),
        (b'{"a":"\\', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b"{a:1}", "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'"' * 50_000, "not JSON"),
        (b'"' + b'\\"' * 30_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"x"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"1", "not a JSON object"),
        (b"true", "not a JSON object"),
    ],
)
def test_what_breaks_python_or_reads_differently_elsewhere_is_refused(raw: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        parse_object(raw)
    assert type(caught.value) is ValueError
    assert caught.value.__cause__ is None


@requirement("A-103")
def test_the_limits_themselves_are_allowed() -> None:
    assert parse_object(b'{"a":' + b"[" * 7 + b"]" * 7 + b"}")
    assert parse_object(b'{"a":[[],[],{},[],[],{},[],[],{},[]]}')
    assert parse_object(b'{"a":%d,"b":%d}' % (MAX_INTEGER, -MAX_INTEGER)) == {"a": MAX_INTEGER, "b": -MAX_INTEGER}
    assert len(parse_object(json.dumps({str(number): 0 for number in range(256)}).encode())) == 256


@requirement("A-105")
@pytest.mark.parametrize("count", [257, 100_000])
def test_too_many_members_are_refused_in_any_object(count: int) -> None:
    many = json.dumps({str(number): 0 for number in range(count)})
    for document in (many, f'{{"a":[{many}]}}'):
        with pytest.raises(ValueError, match="too many members"):
            parse_object(document.encode())


@requirement("A-165")
def test_no_sentence_repeats_the_document() -> None:
    for raw in (b'{"canary":1,"canary":2}', b'{"a":"canary', b'["canary"]', b'{"canary":"\\ud800"}', b'{"canary":NaN}'):
        with pytest.raises(ValueError, match=r"^[A-Z][^{}]*\.$") as caught:
            parse_object(raw)
        assert "canary" not in str(caught.value)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@given(st.dictionaries(NAMES, PLAIN, max_size=4).filter(lambda document: _depth(document) <= 8), st.booleans())
def test_whatever_is_within_the_limits_is_read_back(document: dict[str, Any], ascii_only: bool) -> None:
    assert parse_object(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


PIECES = st.sampled_from(
    ['"', "\\", "{", "}", "[", "]", ":", ",", "1", "-", "e9", "null", "\\u0000", "\\ud800", " ", "ü"]
)


@requirement("A-103", "S-022")
@given(st.one_of(st.binary(), st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode())))
def test_any_bytes_are_read_or_refused_as_a_value_error(raw: bytes) -> None:
    document, error = attempt(ValueError, lambda: parse_object(raw))
    assert error is None or type(error) is ValueError
    if document is not None:
        assert parse_object(json.dumps(document).encode()) == document
