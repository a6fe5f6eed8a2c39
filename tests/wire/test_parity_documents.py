"""What the reference provider does with clients that publish a document, and what is done here instead."""

from __future__ import annotations

from typing import Any

import pytest

from tests.documents.conftest import authority, internet
from tests.documents.conftest import world as connected
from tests.documents.publishing import CLIENT, client, publish
from tests.outbound.internet import Internet
from tests.wire.world import World, answer_parameters, parsed, refused

__all__ = ["authority", "connected", "internet"]

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


@requirement("C-076", "C-049", "S-426")
@pytest.mark.parametrize(
    ("changes", "grant_types"),
    [
        (
            {"grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"]},
            ["authorization_code", "refresh_token"],
        ),
        ({"grant_types": ["implicit", "password", "authorization_code"]}, ["authorization_code"]),
        ({"grant_types": ["client_credentials", "authorization_code"]}, ["authorization_code"]),
        ({"response_types": ["code", "token", "id_token"]}, ["authorization_code", "refresh_token"]),
        ({"grant_types": None, "response_types": None}, ["authorization_code"]),
        ({"grant_types": ["refresh_token"]}, None),
        ({"grant_types": []}, None),
        ({"response_types": ["token"]}, None),
        ({"response_types": []}, None),
    ],
    ids=str,
)
async def test_what_a_document_asks_for_in_vain_is_dropped_as_long_as_the_code_flow_is_left(
    connected: World, internet: Internet, changes: dict[str, Any], grant_types: list[str] | None
) -> None:
    await publish(internet, **changes)
    if grant_types is None:
        answer = await connected.authorize(client())
        assert answer.status_code == 400
        assert "location" not in answer.headers
        return
    tokens = await connected.tokens(client())
    stored = await connected.provider.helpers.lookup_client(CLIENT)
    assert stored is not None
    assert (list(stored.grant_types), stored.response_types) == (grant_types, ("code",))
    assert bool(tokens.refresh) == ("refresh_token" in grant_types)


@requirement("C-077", "C-090", "S-206", "S-427", "A-075")
async def test_a_published_client_has_no_secret_to_present(connected: World, internet: Internet) -> None:
    await publish(internet)
    parameters = answer_parameters(await connected.authorize(client(), code_challenge=None))
    assert parameters["error"] == "invalid_request"
    code = await connected.code(client())
    refused(await connected.exchange(client(), code, client_secret="s"), "invalid_client", 401)
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": connected.pkce.verifier}
    for auth in ((CLIENT, "s"), (CLIENT, "")):
        refused(await connected.post("/token", client(), form | {"client_id": None}, auth=auth), "invalid_client", 401)
    parsed(await connected.exchange(client(), code))


@requirement("C-080", "C-068", "C-227", "D-30")
async def test_a_helper_looks_at_what_is_stored_and_never_fetches(connected: World, internet: Internet) -> None:
    host = await publish(internet)
    helpers = connected.provider.helpers
    assert await helpers.lookup_client(CLIENT) is None
    assert (host.requests, internet.queries) == ([], [])
    await connected.tokens(client())
    known = await helpers.lookup_client(CLIENT)
    assert known is not None
    assert (known.client_id, known.origin, known.secrets) == (CLIENT, "document", ())
    assert len(host.requests) == 1
