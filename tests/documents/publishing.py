"""Clients that publish what they are: a metadata document on a host of the small internet."""

from __future__ import annotations

import json
from typing import Any

from tests.outbound.internet import Host, Internet, http

CLIENT = "https://m1.test/client.json"
REDIRECT = "https://m1.test/cb"


def document(**changes: Any) -> dict[str, Any]:
    """A metadata document, changed as written (None removes a member)."""
    members: dict[str, Any] = {
        "client_id": CLIENT,
        "client_name": "Notes on the go",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    } | changes
    return {name: value for name, value in members.items() if value is not None}


def client(**changes: Any) -> dict[str, Any]:
    """The same as tests know a client: what is registered of it."""
    return document(**changes)


async def publish(internet: Internet, *fields: str, **changes: Any) -> Host:
    """Put a document on its host, with these header fields."""
    return await internet.serve(http(json.dumps(document(**changes)).encode(), *fields))


def republish(host: Host, *fields: str, **changes: Any) -> None:
    """Put another document in its place."""
    host._answer = http(json.dumps(document(**changes)).encode(), *fields)
