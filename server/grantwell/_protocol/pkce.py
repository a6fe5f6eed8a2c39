"""Proof key for code exchange, with S256 alone (RFC 7636)."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import sha256

from ..errors import OAuthError

_CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


def check_challenge(challenge: str | None, method: str | None) -> str:
    """The challenge of an authorization request. Raises OAuthError `invalid_request` (RFC 7636 section 4.4.1).

    An absent method means `plain` (section 4.3), so it is refused like `plain`.
    """
    if challenge is None:
        raise OAuthError("invalid_request", "PKCE is required: send code_challenge and code_challenge_method.")
    if method != "S256":
        raise OAuthError("invalid_request", "PKCE is required with code_challenge_method S256.")
    if not _CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "The PKCE code_challenge must be 43 base64url characters.")
    return challenge


def check_verifier(verifier: str | None) -> str:
    """The verifier of a token request. Raises OAuthError: `invalid_request` when absent, `invalid_grant` if malformed.

    A malformed verifier fits no code, whatever its hash (RFC 7636 section 4.1), so it gets the answer of a wrong one.
    """
    if verifier is None:
        raise OAuthError("invalid_request", "The PKCE code_verifier is missing.")
    if not _VERIFIER.fullmatch(verifier):
        raise OAuthError("invalid_grant", reason="malformed PKCE code_verifier")
    return verifier


def verifier_fits(verifier: str, challenge: str) -> bool:
    """Whether the verifier belongs to the challenge (RFC 7636 section 4.6); False if either is malformed."""
    if not _VERIFIER.fullmatch(verifier) or not _CHALLENGE.fullmatch(challenge):
        return False
    expected = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(expected, challenge.encode())
