"""Which client a request presents (threats 1.4): one method, one spelling, no fallback."""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.client_auth import (
    PresentedClient,
    basic_challenge,
    presented_client,
)
from grantwell._protocol.forms import parse_parameters
from grantwell.errors import OAuthError
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement


def basic(text: bytes | str) -> bytes:
    return b"Basic " + b64encode(text.encode() if isinstance(text, str) else text)


def refusal(authorization: list[bytes], body: bytes = b"") -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        presented_client(authorization, parse_parameters(body))
    return caught.value


@requirement("S-212")
@pytest.mark.parametrize("scheme", [b"Basic ", b"basic ", b"BASIC ", b"bAsIc   "])
def test_basic_credentials_are_read_in_any_case_of_the_scheme(scheme: bytes) -> None:
    presented = presented_client([scheme + b64encode(b"K1:s3cret")], parse_parameters(b""))
    assert presented == PresentedClient("K1", "client_secret_basic", "s3cret")


@requirement("S-211")
def test_a_secret_in_the_body_is_client_secret_post() -> None:
    presented = presented_client([], parse_parameters(b"client_id=K3&client_secret=s%3A+%C2%A3"))
    assert presented == PresentedClient("K3", "client_secret_post", "s: £")


@requirement("S-216", "S-232", "S-010")
@pytest.mark.parametrize("body", [b"client_id=C1", b"client_id=C1&client_secret="])
def test_a_client_id_alone_is_no_authentication(body: bytes) -> None:
    assert presented_client([], parse_parameters(body)) == PresentedClient("C1", "none", None)


@requirement("A-256")
@pytest.mark.parametrize("header", [b"Bearer abc", b"Digest x", b"", b"Basicx abc", b"Basic-x abc"])
def test_a_header_of_another_scheme_is_ignored(header: bytes) -> None:
    assert presented_client([header], parse_parameters(b"client_id=C1")).method == "none"
    assert refusal([header]).headers == {}


@requirement("A-082", "S-212")
def test_both_halves_of_basic_are_form_decoded_exactly_once() -> None:
    identifier, secret = "https://c1.test/a b", "a:b+c%20d e£%"
    header = basic(f"{quote_plus(identifier)}:{quote_plus(secret)}")
    assert presented_client([header], parse_parameters(b"")) == PresentedClient(
        identifier, "client_secret_basic", secret
    )
    assert presented_client([basic("K1:a:b")], parse_parameters(b"")).secret == "a:b"
    assert presented_client([basic("K1:%2525")], parse_parameters(b"")).secret == "%25"


@requirement("A-081", "A-075", "A-076", "A-083", "S-214", "S-205", "A-164")
@pytest.mark.parametrize(
    "header",
    [
        b"Basic",
        b"Basic ",
        b"Basic\t" + b64encode(b"K1:s"),
        b"Basic," + b64encode(b"K1:s"),
        b"Basic\xe9 x",
        basic("K1"),
        basic(""),
        basic(":"),
        basic(":s"),
        basic("K1:"),
        b"Basic " + b64encode(b"K1:s3cret")[:-1] + b"!",
        b"Basic " + b64encode(b"K1:s3cre").rstrip(b"="),
        b"Basic " + b64encode(b"K1:s3crets3") + b"=",
        b"Basic SzE6c3Vi\nY3JldA==",
        b"Basic SzE6 c3VyZQ==",
        b"Basic SzE6c3VyZQ==SzE6",
        b"Basic SzE6c3VyZR==",
        b"Basic SzE6Pz8-Pz8_",
        b"Basic SzE6c",
        b"Basic ====",
        b"Basic SzE6czNjcmV0 ",
        b'Basic "SzE6czNjcmV0"',
        basic("K1:%zz"),
        basic("%:s"),
        basic(b"K1:\xe9"),
        basic("K1:\u00e9"),
        basic(b"K1:\xc0\xae"),
        basic("K1:%c0%ae"),
        basic("K1:%ff"),
        basic("K1:a\0b"),
        basic("K1:a%00b"),
        basic("K1:a\n"),
        basic("K1\n:s"),
        basic("K1:" + "s" * 513),
        basic("K" * 513 + ":s"),
        basic("K1:" + "%C2%A3" * 257),
        basic("K1:" + "s" * 65_536),
        b"Basic " + b" " * 65_536,
        b"Basic " + b"\xff" * 100,
    ],
)
def test_broken_basic_is_an_invalid_client_with_a_basic_challenge(header: bytes) -> None:
    for body in (b"", b"client_id=K1"):
        error = refusal([header], body)
        assert (error.code, error.status) == ("invalid_client", 401)
        assert error.headers == basic_challenge()
        assert error.description == OAuthError("invalid_client").description


@requirement("S-214")
def test_the_basic_challenge_is_constant() -> None:
    assert basic_challenge() == {"WWW-Authenticate": 'Basic realm="OAuth", charset="UTF-8"'}


@requirement("A-082")
def test_the_longest_credentials_fit_however_they_are_encoded() -> None:
    identifier = secret = "%7E" * 512
    presented = presented_client([basic(f"{identifier}:{secret}")], parse_parameters(b""))
    assert presented.client_id == presented.secret == "~" * 512


@requirement("A-259", "S-087", "S-215")
@pytest.mark.parametrize(
    "headers", [[basic("K1:s"), basic("K1:s")], [basic("K1:s"), b"Bearer x"], [b"Bearer x", b"Bearer x"]]
)
def test_two_authorization_headers_are_an_invalid_request(headers: list[bytes]) -> None:
    error = refusal(headers, b"client_id=K1")
    assert (error.code, error.status) == ("invalid_request", 400)


@requirement("A-078", "S-215")
@pytest.mark.parametrize(
    "body",
    [b"client_secret=s", b"client_id=K1&client_secret=s", b"client_assertion=x", b"client_assertion_type=x"],
)
@pytest.mark.parametrize("header", [basic("K1:s"), b"Basic", b"Basic !"])
def test_basic_beside_another_method_is_an_invalid_request(header: bytes, body: bytes) -> None:
    error = refusal([header], body)
    assert (error.code, error.status, error.headers) == ("invalid_request", 400, {})


@requirement("A-079", "S-217")
@pytest.mark.parametrize("client_id", [b"K2", b"C1", b"k1", b"K1+", b"+K1"])
def test_basic_and_a_different_client_id_in_the_body_are_an_invalid_request(client_id: bytes) -> None:
    error = refusal([basic("K1:s")], b"client_id=" + client_id)
    assert (error.code, error.status, error.headers) == ("invalid_request", 400, {})


@requirement("S-217", "A-079")
@pytest.mark.parametrize("body", [b"", b"client_id=K1", b"client_id=", b"client_id=K1&client_secret="])
def test_basic_and_the_same_client_id_in_the_body_are_tolerated(body: bytes) -> None:
    presented = presented_client([basic("K1:s")], parse_parameters(body))
    assert presented == PresentedClient("K1", "client_secret_basic", "s")


@requirement("A-087", "S-215")
@pytest.mark.parametrize(
    "body",
    [
        b"client_assertion=eyJhbGciOiJub25lIn0.e30.",
        b"client_id=C1&client_assertion=x",
        b"client_id=C1&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
        b"client_assertion=" + b"x" * 60_000,
    ],
)
def test_an_assertion_is_refused_and_never_ignored(body: bytes) -> None:
    error = refusal([], body)
    assert (error.code, error.status, error.headers) == ("invalid_client", 401, {})


@requirement("A-078", "S-215")
def test_an_assertion_beside_a_secret_is_one_method_too_many() -> None:
    error = refusal([], b"client_id=C1&client_secret=s&client_assertion=x")
    assert (error.code, error.status) == ("invalid_request", 400)


@requirement("A-084", "S-232")
@pytest.mark.parametrize("body", [b"", b"client_id=", b"client_secret=s", b"refresh_token=x"])
def test_no_client_at_all_is_an_invalid_client(body: bytes) -> None:
    error = refusal([], body)
    assert (error.code, error.status, error.headers) == ("invalid_client", 401, {})


@requirement("A-085", "S-011")
@pytest.mark.parametrize(
    "body", [b"client_id=C1&client_id=C2", b"client_id=C1&client_id=C1", b"client_secret=&client_secret="]
)
def test_a_repeated_credential_is_an_invalid_request(body: bytes) -> None:
    assert refusal([], body).code == "invalid_request"
    assert refusal([basic("C1:s")], body).code == "invalid_request"


@requirement("A-086", "A-160", "A-076")
@pytest.mark.parametrize(
    "body",
    [
        b"client_id=" + b"x" * 513,
        b"client_id=" + b"%C3%A9" * 257,
        b"client_id=" + b"x" * 60_000,
        b"client_id=K3&client_secret=" + b"x" * 513,
        b"client_id=K3&client_secret=" + b"x" * 60_000,
    ],
)
def test_oversize_credentials_are_an_unknown_client(body: bytes) -> None:
    error = refusal([], body)
    assert (error.code, error.status, error.headers) == ("invalid_client", 401, {})
    assert error.description == OAuthError("invalid_client").description


@requirement("A-086", "A-083")
@pytest.mark.parametrize("client_id", ["c1", "C1 ", "\uff23\uff11", "C1' OR '1'='1", "C%", "C_", "../C1", "é"])
def test_a_client_id_is_passed_on_exactly_as_it_was_sent(client_id: str) -> None:
    assert presented_client([], parse_parameters(f"client_id={quote_plus(client_id)}".encode())).client_id == client_id


@requirement("S-090")
def test_a_presented_client_does_not_show_its_secret() -> None:
    presented = presented_client([basic("K1:canary")], parse_parameters(b""))
    assert "canary" not in repr(presented)
    assert "canary" not in str(refusal([basic("K1:canary\n")]))


HEADERS = st.lists(
    st.one_of(
        st.binary(),
        st.binary().map(lambda rest: b"Basic " + rest),
        st.binary().map(basic),
        st.text("K1:%+2A", max_size=12).map(basic),
    ),
    max_size=2,
)
BODIES = st.lists(
    st.sampled_from(
        ["client_id=K1", "client_id=", "client_secret=s", "client_assertion=x", "client_assertion_type=", "a=b"]
    ),
    max_size=4,
).map(lambda fields: "&".join(fields).encode())


@requirement("S-022", "A-081")
@given(HEADERS, BODIES)
def test_any_request_presents_a_client_or_is_refused_with_a_documented_error(headers: list[bytes], body: bytes) -> None:
    presented, error = attempt(OAuthError, lambda: presented_client(headers, parse_parameters(body)))
    if error is not None:
        tried_basic = headers and re.fullmatch(rb"(?i:basic)(?![!#$%&'*+\-.^_`|~0-9A-Za-z]).*", headers[0], re.DOTALL)
        assert error.code in ("invalid_request", "invalid_client")
        assert error.headers == (basic_challenge() if tried_basic and error.code == "invalid_client" else {})
    if presented is not None:
        assert presented.client_id
        assert (presented.secret is None) == (presented.method == "none")
        assert presented.secret != ""
