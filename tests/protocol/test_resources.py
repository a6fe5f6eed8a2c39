"""Resource indicators (threats 1.10): a spelling of a configured identifier, or invalid_target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.resources import parse_resource, parse_resources
from grantwell.config import Resource, Settings, configure
from grantwell.errors import OAuthError

requirement = pytest.mark.requirement


@requirement("S-327", "C-193")
@pytest.mark.parametrize(
    "text", ["https://as.test/api", "HTTPS://AS.TEST/api", "https://As.Test/api", "https://as.test:443/api"]
)
def test_scheme_and_host_may_be_spelled_otherwise_and_the_configured_identifier_is_used(
    text: str, settings: Settings
) -> None:
    assert parse_resource(text, settings) == "https://as.test/api"


@requirement("S-327")
@pytest.mark.parametrize("text", ["https://as.test", "https://as.test/", "HTTPS://AS.TEST", "https://AS.test:443/"])
def test_a_whole_site_is_named_with_and_without_a_slash(text: str, bare_settings: Settings) -> None:
    assert parse_resource(text, bare_settings) == "https://as.test"
    slashed = configure(
        issuer="https://as.test", prefixes=["/"], resources={"/": Resource(identifier="https://as.test/")}
    )
    assert parse_resource(text, slashed) == "https://as.test/"


@requirement("S-320", "S-321", "S-328", "S-329", "S-059", "A-205", "A-160", "C-193")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "as.test",
        "as.test/api",
        "/api",
        "//as.test/api",
        "https://as.test",
        "https://as.test/",
        "https://as.test/api/",
        "https://as.test/API",
        "https://as.test/api/x",
        "https://as.test/%61pi",
        "https://as.test//api",
        "https://as.test/./api",
        "https://as.test/x/../api",
        "https://as.test/api?",
        "https://as.test/api?x=1",
        "https://as.test/api#",
        "https://as.test/api#f",
        "http://as.test/api",
        "https://as.test:80/api",
        "https://as.test:8443/api",
        "https://u@as.test/api",
        "https://as.test.evil.test/api",
        "https://as.test@evil.test/api",
        "https://as.test\\api",
        "https:/as.test/api",
        "https://as.test./api",
        "urn:as:api",
        "*",
        " https://as.test/api",
        "https://as.test/api ",
        "https://as.test/api\n",
        "https://\u0430s.test/api",
        "https://as.test/api\u0301",
        "https://[::1/api",
        "https://as.test:99999/api",
        "https://as.test/" + "a" * 65_536,
    ],
)
def test_anything_else_is_an_invalid_target(text: str, settings: Settings) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_resource(text, settings)
    assert (caught.value.code, caught.value.status) == ("invalid_target", 400)


@requirement("S-325", "S-320")
def test_several_resources_are_read_once_each_in_order_and_one_stranger_spoils_them(settings: Settings) -> None:
    wanted = ["https://as.test/other", "https://as.test/api", "HTTPS://as.test/other"]
    assert parse_resources(wanted, settings) == ("https://as.test/other", "https://as.test/api")
    assert parse_resources([], settings) == ()
    with pytest.raises(OAuthError, match="invalid_target"):
        parse_resources([*wanted, "https://evil.test/"], settings)


@requirement("S-022", "A-165")
@given(text=st.text())
def test_any_text_is_refused_as_invalid_target_without_an_echo(text: str, settings: Settings) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_resource("canary" + text, settings)
    assert caught.value.code == "invalid_target"
    assert "canary" not in caught.value.description
