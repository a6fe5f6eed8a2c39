"""Scope strings (threats A-213 to A-215): RFC 6749 section 3.3 to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.scopes import format_scope, parse_scope
from grantwell.errors import OAuthError
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement


@requirement("S-145")
def test_no_scope_is_no_scopes() -> None:
    assert parse_scope(None) == ()


@requirement("A-215", "S-012")
def test_scopes_are_read_in_order_once_each_and_with_their_case() -> None:
    assert parse_scope("b a Read read b a!#[]~") == ("b", "a", "Read", "read", "a!#[]~")


@requirement("A-214", "A-215", "S-146")
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " a",
        "a ",
        "a  b",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "a\u00a0b",
        "a\u2003b",
        "a\x1fb",
        "a\x0bb",
        "a\x85b",
        '"',
        'a"b',
        "a\\b",
        "\\",
        "é",
        "re\u0430d",
        "\uff52ead",
        "a\x00",
        "a\x7f",
        "a\n",
        "\ud800",
    ],
)
def test_malformed_scopes_are_refused(text: str) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_scope(text)
    assert (caught.value.code, caught.value.status) == ("invalid_scope", 400)


@requirement("A-214")
def test_a_comma_is_part_of_a_scope_and_separates_nothing() -> None:
    assert parse_scope("read,write") == ("read,write",)


@requirement("A-213", "A-160")
@pytest.mark.parametrize(
    "text",
    [
        " ".join(f"s{number}" for number in range(65)),
        " ".join(["s"] * 65),
        " ".join(["s"] * 10_000),
        "x" * 129,
        "x" * 65_536,
    ],
)
def test_too_many_and_too_long_scopes_are_refused(text: str) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_scope(text)
    assert caught.value.code == "invalid_scope"


@requirement("A-213")
def test_the_limits_themselves_are_allowed() -> None:
    scopes = tuple(f"{number:x>128}" for number in range(64))
    assert parse_scope(" ".join(scopes)) == scopes


TOKEN = st.text([chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"\\'], min_size=1, max_size=128)


@requirement("S-146")
@given(st.lists(TOKEN, min_size=1, max_size=64, unique=True))
def test_what_is_formatted_is_read_back(scopes: list[str]) -> None:
    assert parse_scope(format_scope(scopes)) == tuple(scopes)


@requirement("S-022")
@given(st.text(alphabet=st.one_of(st.sampled_from(' a"\\\t,'), st.characters())))
def test_any_text_is_read_or_refused_as_invalid_scope(text: str) -> None:
    scopes, error = attempt(OAuthError, lambda: parse_scope(text))
    assert error is None or error.code == "invalid_scope"
    if scopes is not None:
        assert set(text.split(" ")) == set(scopes)
