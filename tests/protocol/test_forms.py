"""The form reader (threats 1.7): one meaning for each byte string, or a refusal."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.forms import (
    Parameters,
    decode_component,
    is_form,
    parse_parameters,
)
from grantwell.errors import OAuthError
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement


@requirement("A-147", "S-017")
@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "APPLICATION/X-WWW-FORM-URLENCODED",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "application/x-www-form-urlencoded ; charset=utf-8",
        'application/x-www-form-urlencoded; Charset="utf-8"',
    ],
)
def test_a_form_is_recognised_in_any_case_and_with_the_charset_spelled_out(content_type: str) -> None:
    assert is_form(content_type)


@requirement("A-147", "S-017")
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "text/plain",
        "application/octet-stream",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/json, application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded, application/json",
        "application/x-www-form-urlencodedX",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset=latin-1",
        'application/x-www-form-urlencoded; charset="utf-8',
        "application/x-www-form-urlencoded; boundary=x",
        "application/x-www-form-urlencoded; charset=utf-8; charset=utf-16",
        "application/x-www-form-urlencoded\n",
        "application/x-www-form-urlencoded" + " " * 10_000 + ";charset=utf-8",
        "application/x-www-form-ur\u017fencoded",
        "application/x-www-form-urlencoded; char\u017fet=utf-8",
    ],
)
def test_nothing_else_is_a_form(content_type: str | None) -> None:
    assert not is_form(content_type)


@requirement("S-013")
def test_values_are_decoded_as_utf_8_with_plus_as_a_space() -> None:
    assert parse_parameters(b"state=+%25%26%2B%C2%A3%E2%82%AC").one("state") == " %&+£€"


@requirement("S-010", "A-149")
@pytest.mark.parametrize("raw", [b"", b"code=", b"code", b"&", b"&&code=&", b"x=1"])
def test_a_parameter_without_a_value_is_absent(raw: bytes) -> None:
    parameters = parse_parameters(raw)
    assert parameters.one("code") is None
    assert parameters.many("code") == ()


@requirement("S-011", "A-025", "A-053", "A-047", "A-085")
@pytest.mark.parametrize("raw", [b"code=a&code=b", b"code=a&code=a", b"code=&code=a", b"code&code", b"code=a&c%6fde=b"])
def test_a_repeated_parameter_is_an_error_even_where_one_is_empty(raw: bytes) -> None:
    parameters = parse_parameters(raw)
    assert parameters.repeated() == "code"
    with pytest.raises(OAuthError) as caught:
        parameters.one("code")
    assert (caught.value.code, caught.value.status) == ("invalid_request", 400)


@requirement("S-011", "S-325")
def test_a_parameter_that_may_repeat_keeps_its_values_in_order() -> None:
    parameters = parse_parameters(b"resource=b&x=1&resource=&resource=a&resource=b")
    assert parameters.many("resource") == ("b", "a", "b")
    assert parameters.repeated(frozenset({"resource"})) is None
    assert parameters.repeated() == "resource"


@requirement("S-012", "A-151")
def test_names_are_exact() -> None:
    parameters = parse_parameters(b"Code=x&code[]=x&code[0]=y&code.a=z&+code=w")
    assert parameters.one("code") is None
    assert parameters.names() == {"Code", "code[]", "code[0]", "code.a", " code"}


def test_names_are_told_whether_or_not_they_have_a_value() -> None:
    assert parse_parameters(b"a=&b&c=1&=x").names() == {"a", "b", "c", ""}


@requirement("A-150")
def test_a_semicolon_separates_nothing() -> None:
    parameters = parse_parameters(b"grant_type=refresh_token;refresh_token=X&code=a;client_id=C2")
    assert parameters.one("grant_type") == "refresh_token;refresh_token=X"
    assert parameters.one("code") == "a;client_id=C2"
    assert parameters.one("client_id") is None


@requirement("A-164")
def test_nothing_is_trimmed() -> None:
    assert parse_parameters(b"token=+a+&secret= b ").one("token") == " a "
    assert parse_parameters(b"token=+a+&secret= b ").one("secret") == " b "


@requirement("A-152", "A-153", "A-154", "A-086", "A-030")
@pytest.mark.parametrize(
    "text",
    [
        *(b"%zz", b"%", b"%4", b"a%", b"%u0041", b"%%41", b"%+1", b"% 1", b"%-1"),
        *(b"%ff%fe", b"%c0%ae", b"%ed%a0%80", b"%f5%80%80%80", b"%c3", b"%c3%28", b"\xff\xfe", b"\xc3\xa9", b"\x80"),
        *(b"a%00b", b"%0a", b"%0D", b"%09", b"%1f", b"%7f", b"%7F", b"\x00", b"\n", b"\r\n", b"\t", b"\x7f"),
    ],
)
def test_bad_escapes_bytes_that_are_not_utf_8_and_controls_are_refused_in_names_and_values(text: bytes) -> None:
    for raw in (b"code=" + text, b"x=1&code=" + text, text + b"=1", text):
        with pytest.raises(OAuthError) as caught:
            parse_parameters(raw)
        assert caught.value.code == "invalid_request"
    assert decode_component(text) is None


@requirement("A-157", "A-055")
@pytest.mark.parametrize("count", [33, 1001, 200_000])
def test_too_many_fields_are_refused(count: int) -> None:
    for field in (b"a=1", b"", b"a"):
        with pytest.raises(OAuthError, match="too many"):
            parse_parameters(b"&".join([field] * count))


@requirement("A-157")
def test_the_limit_itself_is_allowed() -> None:
    raw = b"&".join(b"n%d=1" % number for number in range(32))
    assert len(parse_parameters(raw).names()) == 32


@requirement("A-160")
def test_an_oversize_value_is_neither_cut_nor_dropped() -> None:
    assert parse_parameters(b"resource=" + b"x" * 60_000).one("resource") == "x" * 60_000


@requirement("S-022")
def test_names_have_a_limit() -> None:
    assert parse_parameters(b"n" * 128).names() == {"n" * 128}
    with pytest.raises(OAuthError, match="name of a parameter"):
        parse_parameters(b"n" * 129 + b"=1")


@requirement("A-165", "S-015")
def test_no_error_repeats_what_was_sent() -> None:
    for raw in (b"canary=%zz", b"canary=%ff", b"canary" * 30 + b"=", b"canary&" * 40):
        with pytest.raises(OAuthError) as caught:
            parse_parameters(raw)
        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is None


@requirement("S-090")
def test_parameters_do_not_show_their_values() -> None:
    assert "canary" not in repr(parse_parameters(b"client_secret=canary"))


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\x7f"]))


@requirement("S-013")
@given(st.lists(st.tuples(TEXT.filter(lambda name: len(name) <= 128), TEXT), max_size=32))
def test_what_a_strict_writer_encodes_is_read_back(pairs: list[tuple[str, str]]) -> None:
    parameters = parse_parameters(urlencode(pairs).encode())
    assert parameters.names() == {name for name, _ in pairs}
    for name, _ in pairs:
        assert parameters.many(name) == tuple(value for other, value in pairs if other == name and value)


FRAGMENTS = st.sampled_from(
    [b"a", b"code", b"&", b"=", b"+", b"%", b"%41", b"%00", b"%c3%a9", b"%c3", b";", b"\xff", b" "]
)


@requirement("S-022")
@given(st.one_of(st.binary(), st.lists(FRAGMENTS).map(b"".join)))
def test_any_bytes_are_read_or_refused_as_invalid_request(raw: bytes) -> None:
    parameters, error = attempt(OAuthError, lambda: parse_parameters(raw))
    assert error is None or error.code == "invalid_request"
    if parameters is not None:
        texts = [text for name in parameters.names() for text in (name, *parameters.many(name))]
        assert not any(c < " " or c == "\x7f" for text in texts for c in text)
        assert "".join(texts).encode().decode() == "".join(texts)


def test_parameters_can_be_made_without_a_request() -> None:
    assert Parameters({"code": ["x"]}).one("code") == "x"
