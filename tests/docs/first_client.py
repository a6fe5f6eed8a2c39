"""A client that knows an issuer and nothing else: discovers, registers, authorizes, and calls."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.interop.person import Person, parameters_of

REDIRECT_URI = "https://client.example/cb"


async def tokens_for(http: httpx.AsyncClient, person: Person, **asked: str) -> dict[str, Any]:
    """The answer of the token endpoint, for what the person allowed, and the id of the client that has it."""
    metadata = (await http.get("/.well-known/oauth-authorization-server")).raise_for_status().json()
    registration = {
        "redirect_uris": [REDIRECT_URI],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    }
    client = (await http.post(metadata["registration_endpoint"], json=registration)).raise_for_status().json()
    verifier = secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    request = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": REDIRECT_URI,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    location = await person.answer(f"{metadata['authorization_endpoint']}?{urlencode(request | asked)}", REDIRECT_URI)
    form = {
        "grant_type": "authorization_code",
        "client_id": client["client_id"],
        "code": parameters_of(location)["code"],
        "code_verifier": verifier,
    }
    answer = (await http.post(metadata["token_endpoint"], data=form)).raise_for_status().json()
    return {**answer, "client_id": client["client_id"]}


def bearer(answer: dict[str, Any]) -> dict[str, str]:
    """The header that uses the access token."""
    return {"Authorization": f"Bearer {answer['access_token']}"}
