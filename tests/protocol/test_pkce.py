"""PKCE (threats 1.2): S256 alone, exact alphabets, and a missing piece is an error."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.pkce import check_challenge, check_verifier, verifier_fits
from grantwell.errors import OAuthError

requirement = pytest.mark.requirement

# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def challenge_of(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode("utf-8", "surrogatepass")).digest()).rstrip(b"=").decode()


@requirement("S-140", "S-234")
def test_the_vector_of_rfc_7636_passes() -> None:
    assert check_challenge(CHALLENGE, "S256") == CHALLENGE
    assert check_verifier(VERIFIER) == VERIFIER
    assert verifier_fits(VERIFIER, CHALLENGE)


@requirement("A-039", "S-139", "S-010")
@pytest.mark.parametrize("method", ["S256", "plain", None])
def test_a_request_without_a_challenge_is_refused_and_told_why(method: str | None) -> None:
    with pytest.raises(OAuthError) as caught:
        check_challenge(None, method)
    assert caught.value.code == "invalid_request"
    assert "PKCE" in caught.value.description


@requirement("A-041", "S-036", "S-141", "S-142", "S-012")
@pytest.mark.parametrize(
    "method", [None, "", "plain", "PLAIN", "s256", "S256 ", " S256", "S256\n", "S512", "\uff33256"]
)
def test_only_the_exact_method_s256_is_accepted(method: str | None) -> None:
    with pytest.raises(OAuthError) as caught:
        check_challenge(CHALLENGE, method)
    assert caught.value.code == "invalid_request"
    assert "PKCE" in caught.value.description


@requirement("A-042", "S-143")
@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "a",
        CHALLENGE[:42],
        CHALLENGE + "A",
        CHALLENGE[:42] + "=",
        CHALLENGE + "=",
        CHALLENGE + "\n",
        CHALLENGE[:42] + "\n",
        CHALLENGE[:42] + "+",
        CHALLENGE[:42] + "/",
        CHALLENGE[:42] + "~",
        CHALLENGE[:42] + "é",
        CHALLENGE[:42] + "\u0661",
        "x" * 128,
        "x" * 100_000,
    ],
)
def test_a_challenge_is_exactly_43_base64url_characters(challenge: str) -> None:
    with pytest.raises(OAuthError) as caught:
        check_challenge(challenge, "S256")
    assert caught.value.code == "invalid_request"


@requirement("A-043", "S-235")
def test_a_missing_verifier_is_an_invalid_request() -> None:
    with pytest.raises(OAuthError) as caught:
        check_verifier(None)
    assert (caught.value.code, caught.value.status) == ("invalid_request", 400)


@requirement("A-046", "S-238")
@pytest.mark.parametrize(
    "verifier",
    ["", "v" * 42, "v" * 129, "v" * 43 + "\n", *("v" * 42 + c for c in ' \0\u0661é+/=%"\\\ud800')],
)
def test_a_malformed_verifier_fits_nothing_although_its_hash_matches(verifier: str) -> None:
    with pytest.raises(OAuthError) as caught:
        check_verifier(verifier)
    assert (caught.value.code, caught.value.status) == ("invalid_grant", 400)
    assert not verifier_fits(verifier, challenge_of(verifier))


@requirement("A-044", "S-234")
def test_a_wrong_verifier_does_not_fit() -> None:
    assert not verifier_fits("x" * 43, CHALLENGE)
    assert not verifier_fits(VERIFIER + "x", CHALLENGE)


@requirement("A-045")
def test_the_challenge_is_not_its_own_verifier() -> None:
    assert check_verifier(CHALLENGE) == CHALLENGE
    assert not verifier_fits(CHALLENGE, CHALLENGE)


@requirement("A-048")
@pytest.mark.parametrize("challenge", ["", CHALLENGE + "=", CHALLENGE + "\n", CHALLENGE[:42], "é" * 43, "\ud800" * 43])
def test_a_damaged_challenge_fits_no_verifier(challenge: str) -> None:
    assert not verifier_fits(VERIFIER, challenge)


UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


@requirement("S-238", "S-140")
@given(st.text(UNRESERVED, min_size=43, max_size=128))
def test_every_verifier_of_the_grammar_fits_its_own_challenge(verifier: str) -> None:
    assert verifier_fits(check_verifier(verifier), check_challenge(challenge_of(verifier), "S256"))
    assert not verifier_fits(secrets.token_urlsafe(32), challenge_of(verifier))


@requirement("S-022")
@given(st.text(), st.text())
def test_any_text_is_accepted_or_refused_with_the_documented_error(first: str, second: str) -> None:
    assert not verifier_fits(first, second)
    with pytest.raises(OAuthError):
        check_challenge(first, second)
    with pytest.raises(OAuthError):
        check_verifier(first)
