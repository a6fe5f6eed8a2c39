"""Bearer credentials and challenges (threats 1.12): strict reading, and headers that nobody can write into."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.challenges import bearer_credential, challenge
from grantwell.errors import OAuthError
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement

METADATA = "https://as.test/.well-known/oauth-protected-resource/api"


@requirement("S-083", "S-084", "A-257")
@pytest.mark.parametrize("header", [b"Bearer abc", b"bearer abc", b"BEARER abc", b"BeArEr abc", b"Bearer   abc"])
def test_the_scheme_is_read_in_any_case_and_behind_any_number_of_spaces(header: bytes) -> None:
    assert bearer_credential([header], b"") == "abc"


@requirement("S-083")
def test_every_character_of_token68_is_read() -> None:
    assert bearer_credential([b"Bearer aZ09-._~+/=="], b"") == "aZ09-._~+/=="
    assert bearer_credential([b"Bearer " + b"x" * 512], b"") == "x" * 512


@requirement("A-256", "S-095", "S-085")
@pytest.mark.parametrize("query", [b"", b"access_token=abc"])
@pytest.mark.parametrize(
    "authorization",
    [[], [b""], [b"Basic YTpi"], [b"Token x"], [b"Bearerx abc"], [b"xBearer abc"], [b"Bearer-x abc"], [b"DPoP abc"]],
)
def test_without_a_bearer_header_there_is_no_credential_whatever_the_query_says(
    authorization: list[bytes], query: bytes
) -> None:
    assert bearer_credential(authorization, query) is None


@requirement("A-258", "A-260", "S-104")
@pytest.mark.parametrize(
    "header",
    [
        b"Bearer",
        b"Bearer ",
        b"Bearer\tabc",
        b"Bearer \tabc",
        b"Bearer abc ",
        b"Bearer abc\t",
        b"Bearer a b",
        b'Bearer "x"',
        b"Bearer a,b",
        b"Bearer a, Bearer b",
        b"Bearer %55abc",
        b"Bearer=",
        b"Bearer=abc",
        b"Bearer ==",
        b"Bearer a=b",
        b"Bearer a:b:c",
        b"Bearer,abc",
        b"Bearer \xe9",
        b"Bearer\xe9 abc",
        b"Bearer a\x00b",
        b"Bearer abc\n",
        b"Bearer a\r\n b",
        b"Bearer " + b"x" * 513,
        b"Bearer " + b"x" * 65_536,
        b"Bearer " + b" " * 65_536 + b"x",
    ],
)
def test_a_malformed_bearer_header_is_an_invalid_request(header: bytes) -> None:
    with pytest.raises(OAuthError) as caught:
        bearer_credential([header], b"")
    assert (caught.value.code, caught.value.status) == ("invalid_request", 400)


@requirement("A-259", "S-087")
@pytest.mark.parametrize(
    "authorization",
    [[b"Bearer a", b"Bearer b"], [b"Bearer a", b"Bearer a"], [b"Basic YTpi", b"Bearer a"], [b"Bearer a", b""]],
)
def test_two_authorization_headers_are_an_invalid_request(authorization: list[bytes]) -> None:
    with pytest.raises(OAuthError) as caught:
        bearer_credential(authorization, b"")
    assert (caught.value.code, caught.value.status) == ("invalid_request", 400)


@requirement("A-261", "S-087", "S-074")
@pytest.mark.parametrize(
    "query", [b"access_token=abc", b"x=1&access_token=abc", b"%61ccess_token=x&y", b"access%5Ftoken=x"]
)
def test_a_token_in_header_and_query_is_an_invalid_request(query: bytes) -> None:
    with pytest.raises(OAuthError) as caught:
        bearer_credential([b"Bearer abc"], query)
    assert (caught.value.code, caught.value.status) == ("invalid_request", 400)


@requirement("A-261")
@pytest.mark.parametrize(
    "query", [b"x=1", b"access_token", b"access_token=", b"x=access_token=1", b"Access_Token=1", b"%zz=%ff&\xff\x00"]
)
def test_other_queries_are_the_business_of_the_application(query: bytes) -> None:
    assert bearer_credential([b"Bearer abc"], query) == "abc"


@requirement("S-022", "A-260")
@given(st.lists(st.one_of(st.binary(), st.binary().map(lambda rest: b"Bearer " + rest)), max_size=2), st.binary())
def test_any_headers_are_read_or_refused_as_invalid_request(authorization: list[bytes], query: bytes) -> None:
    credential, error = attempt(OAuthError, lambda: bearer_credential(authorization, query))
    assert error is None or error.code == "invalid_request"
    assert credential is None or re.fullmatch(r"[A-Za-z0-9\-._~+/]{1,512}=*", credential)


@requirement("S-097", "S-098", "S-096", "A-256")
def test_the_bare_challenge_names_the_metadata_and_no_error() -> None:
    assert challenge(resource_metadata=METADATA) == f'Bearer resource_metadata="{METADATA}"'


@requirement("S-099", "S-100", "S-073", "A-221")
def test_the_challenge_names_the_scopes_but_never_offline_access() -> None:
    value = challenge(resource_metadata=METADATA, scopes=["read", "offline_access", "write"])
    assert value == f'Bearer resource_metadata="{METADATA}", scope="read write"'
    assert "scope" not in challenge(resource_metadata=METADATA, scopes=["offline_access"])


@requirement("S-101", "S-102", "S-103", "S-105")
def test_an_error_has_its_place_in_the_challenge_and_each_parameter_stands_once() -> None:
    value = challenge(
        resource_metadata=METADATA, scopes=iter(["a", "b"]), error="insufficient_scope", description="Not enough."
    )
    assert value == (
        f'Bearer resource_metadata="{METADATA}", error="insufficient_scope", scope="a b", '
        'error_description="Not enough."'
    )


@requirement("A-275", "S-105", "S-015", "D-24")
@given(st.text(), st.text(), st.text(min_size=1), st.text())
def test_no_value_can_break_out_of_its_quotes(metadata: str, scope: str, error: str, description: str) -> None:
    value = challenge(resource_metadata=metadata or "x", scopes=[scope], error=error, description=description)
    assert re.fullmatch(r'Bearer [a-z_]+="[ !#-\[\]-~]*"(?:, [a-z_]+="[ !#-\[\]-~]*")*', value)
    names = re.findall(r'([a-z_]+)="', value)
    assert len(names) == len(set(names))
