"""The wire form of tokens (threats A-161, A-263): ours and intact, or nothing."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.tokens import (
    ParsedToken,
    format_access_token,
    format_client_secret,
    format_code,
    format_grant_id,
    format_refresh_token,
    parse_token,
)

requirement = pytest.mark.requirement

GRANT_ID = format_grant_id(bytes(range(12)))
FAMILY = bytes(range(100, 116))
SECRET = bytes(range(200, 232))
ACCESS = format_access_token(GRANT_ID, SECRET)
REFRESH = format_refresh_token(GRANT_ID, FAMILY, SECRET)
CODE = format_code(GRANT_ID, SECRET)
CLIENT_SECRET = format_client_secret(SECRET)
ALL = (ACCESS, REFRESH, CODE, CLIENT_SECRET)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@requirement("S-209")
def test_the_wire_form_is_fixed() -> None:
    """Known answers: a change here would end every token that is out."""
    assert GRANT_ID == "AAECAwQFBgcICQoL"
    assert ACCESS == "gwa_AAECAwQFBgcICQoLyMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5ucGjCVEA"
    assert REFRESH == "gwr_AAECAwQFBgcICQoLZGVmZ2hpamtsbW5vcHFycwyMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uc-6XvIQ"
    assert CODE == "gwc_AAECAwQFBgcICQoLyMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uc4aoPbg"
    assert CLIENT_SECRET == "gws_yMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uciStRpQ"


def test_each_kind_is_read_back_with_its_parts() -> None:
    assert parse_token(ACCESS) == ParsedToken("access", GRANT_ID, b"", ACCESS)
    assert parse_token(REFRESH) == ParsedToken("refresh", GRANT_ID, FAMILY, REFRESH)
    assert parse_token(CODE) == ParsedToken("code", GRANT_ID, b"", CODE)
    assert parse_token(CLIENT_SECRET) == ParsedToken("client_secret", "", b"", CLIENT_SECRET)


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_whatever_was_formatted_is_read_back(random: bytes, family: bytes, secret: bytes) -> None:
    grant_id = format_grant_id(random)
    access, code = format_access_token(grant_id, secret), format_code(grant_id, secret)
    refresh, client_secret = format_refresh_token(grant_id, family, secret), format_client_secret(secret)
    assert parse_token(access) == ParsedToken("access", grant_id, b"", access)
    assert parse_token(refresh) == ParsedToken("refresh", grant_id, family, refresh)
    assert parse_token(code) == ParsedToken("code", grant_id, b"", code)
    assert parse_token(client_secret) == ParsedToken("client_secret", "", b"", client_secret)
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", grant_id)


@requirement("A-263")
@pytest.mark.parametrize("token", ALL)
def test_a_token_with_one_character_changed_is_refused(token: str) -> None:
    for position, original in enumerate(token):
        for replacement in (ALPHABET + " +/=.é\n\0").replace(original, ""):
            assert parse_token(token[:position] + replacement + token[position + 1 :]) is None


@requirement("A-263")
@pytest.mark.parametrize("token", ALL)
def test_a_token_cut_extended_recased_or_swapped_is_refused(token: str) -> None:
    changed = [token[:-1], token[1:], token + "A", "A" + token, token + "=", token + "\n", " " + token, token * 2]
    changed += [token.upper(), token.lower(), token.swapcase(), token[:10] + token[11] + token[10] + token[12:]]
    changed += [
        prefix + token[4:] for prefix in ("gwa_", "gwr_", "gwc_", "gws_", "GWA_", "gwx_") if prefix != token[:4]
    ]
    assert [parse_token(text) for text in changed] == [None] * len(changed)


@requirement("A-161", "A-086", "A-163", "A-164")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a:b",
        "a:b:c:d",
        "::",
        ":::",
        "a::b",
        "a:b:",
        "a\uff1ab",
        "U1:G:" + "x" * 1_048_576,
        "{}",
        "gwa_",
        "eyJhbGciOiJub25lIn0.e30.",
        "' OR 1=1--",
        "%",
        "_",
        "\\",
        "$$",
        ":name",
        "\ud800",
        "gwa_" + "\u0661" * 65,
        "gwa_" + "x" * 65,
        "gwr_" + "x" * 87,
        "gwa_" + "x" * 1_048_576,
    ],
)
def test_any_other_text_is_no_token(text: str) -> None:
    assert parse_token(text) is None


def test_a_family_has_one_spelling() -> None:
    """Unused bits in its last character would let one family be written in sixteen ways."""
    body = REFRESH[:41] + "x" + REFRESH[42:-6]
    assert REFRESH[41] in "AQgw"
    assert parse_token(with_checksum(body)) is None
    assert parse_token(with_checksum(REFRESH[:-6])) is not None


@requirement("A-161")
def test_a_right_checksum_makes_no_token_of_other_text() -> None:
    others = ["gwx_" + "A" * 59, "gwa_" + "A" * 81, "gws_" + "A" * 59, "gwa_" + "." * 59, "gwa_" + "A" * 58 + "\n", ""]
    assert [parse_token(with_checksum(body)) for body in others] == [None] * len(others)
    assert parse_token(with_checksum("gwa_" + "A" * 59)) is not None
    assert parse_token("gwa_" + "\ud800" * 65) is None


def with_checksum(body: str) -> str:
    return body + urlsafe_b64encode(crc32(body.encode()).to_bytes(4, "big")).decode().rstrip("=")


@requirement("S-090")
def test_a_parsed_token_does_not_show_its_text() -> None:
    for token in ALL:
        assert token not in repr(parse_token(token))


@requirement("S-209")
def test_randomness_of_the_wrong_size_is_a_mistake_of_the_caller() -> None:
    mistakes: list[Callable[[], str]] = [
        lambda: format_grant_id(b"x" * 11),
        lambda: format_access_token(GRANT_ID, b"x" * 31),
        lambda: format_access_token(GRANT_ID[1:], SECRET),
        lambda: format_refresh_token(GRANT_ID, b"x" * 15, SECRET),
        lambda: format_refresh_token(GRANT_ID, FAMILY, b""),
        lambda: format_code(GRANT_ID + "x", SECRET),
        lambda: format_client_secret(b"x" * 33),
    ]
    for call in mistakes:
        with pytest.raises(ValueError, match=r"wanted here|16 characters"):
            call()


@requirement("S-022")
@given(st.one_of(st.text(), st.text(ALPHABET, min_size=49, max_size=95).map(lambda rest: "gwa_" + rest)))
def test_no_text_makes_the_reader_raise(text: str) -> None:
    assert parse_token(text) is None
