"""What a client may become depends on who vouches for it: nobody, a software statement, or the operator."""

from __future__ import annotations

from typing import Any

import pytest

from grantwell import Client, ClientMetadataError, ClientRegistration, MappedIdentity, OAuthError, TrustedIssuer
from grantwell.config import CLIENT_CREDENTIALS, JWT_BEARER, TOKEN_EXCHANGE
from tests.assertions.signing import jwks, new_key
from tests.wire.world import R1, REDIRECT, World, nothing_changes, refused, rows_of, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

# Says of the client that it is trusted; the signature is nobody's.
STATEMENT = "eyJhbGciOiJFUzI1NiJ9.eyJ0cnVzdGVkIjp0cnVlLCJjbGllbnRfbmFtZSI6IkV2aWwifQ.AAAA"
CODE, REFRESH = "authorization_code", "refresh_token"
EVERY_GRANT_TYPE = [CODE, REFRESH, CLIENT_CREDENTIALS, TOKEN_EXCHANGE, JWT_BEARER, "password", "implicit"]


def nobody(assertion: object) -> MappedIdentity | None:
    """Nobody has an account."""
    return None


EVERYTHING: dict[str, Any] = {
    "allow_token_exchange": True,
    "trusted_issuers": [TrustedIssuer(issuer="https://m1.test", jwks_uri="https://m1.test/jwks", map_claims=nobody)],
}


# Software statements ------------------------------------------------------------------------------------------------


@requirement("S-400", "A-112", "C-067", "S-467")
@pytest.mark.parametrize("statement", [STATEMENT, "", "no JWT", 7, None, {"client_name": "Evil"}], ids=repr)
async def test_a_software_statement_reaches_the_callback_and_nothing_else(store: Any, statement: Any) -> None:
    asked: list[ClientRegistration] = []

    async with running_world(store, client_registration_callback=asked.append, allow_client_management=True) as world:
        metadata = {"redirect_uris": [REDIRECT], "client_name": "A", "software_statement": statement}
        answer = await world.http.post("/register", json=metadata)
        assert answer.status_code == 201
        client = answer.json()
        read = await world.http.get(
            client["registration_client_uri"],
            headers={"Authorization": f"Bearer {client['registration_access_token']}"},
        )
        for shown in (client, read.json()):
            assert shown["client_name"] == "A"
            assert "software_statement" not in shown
        assert "statement" not in repr(await store.get_client(client["client_id"]))
        assert STATEMENT not in repr(rows_of(store))
        assert asked[0].metadata["software_statement"] == statement
        assert asked[0].client.name == "A"


@requirement("S-400", "S-399", "A-108", "A-112")
@pytest.mark.parametrize("code", ["invalid_software_statement", "unapproved_software_statement"])
@pytest.mark.parametrize("description", [None, "Signed by nobody we know."])
async def test_the_callback_may_refuse_a_software_statement(store: Any, code: str, description: str | None) -> None:
    def verify(event: ClientRegistration) -> None:
        if event.metadata.get("software_statement") != "approved":
            raise OAuthError(code, description)

    async with running_world(store, client_registration_callback=verify) as world:
        metadata = {"redirect_uris": [REDIRECT]}
        with nothing_changes(world):
            for unapproved in (metadata, metadata | {"software_statement": STATEMENT}):
                answer = refused(await world.http.post("/register", json=unapproved), code)
                assert description in (None, answer.json()["error_description"])
        approved = await world.http.post("/register", json=metadata | {"software_statement": "approved"})
        assert approved.status_code == 201


# Grant types --------------------------------------------------------------------------------------------------------


@requirement("S-265", "S-468", "A-095", "S-467", "S-391")
@pytest.mark.parametrize(
    ("method", "offered", "granted"),
    [
        ("none", False, [CODE, REFRESH]),
        ("none", True, [CODE, REFRESH]),
        ("client_secret_basic", False, [CODE, REFRESH]),
        ("client_secret_basic", True, [CODE, REFRESH, TOKEN_EXCHANGE, JWT_BEARER]),
        ("client_secret_post", True, [CODE, REFRESH, TOKEN_EXCHANGE, JWT_BEARER]),
        ("private_key_jwt", True, [CODE, REFRESH, TOKEN_EXCHANGE, JWT_BEARER]),
    ],
)
async def test_a_client_that_registers_itself_gets_what_fits_it(
    store: Any, method: str, offered: bool, granted: list[str]
) -> None:
    async with running_world(store, **(EVERYTHING if offered else {})) as world:
        keys = jwks(new_key()) if method == "private_key_jwt" else None
        client = await world.register(token_endpoint_auth_method=method, grant_types=EVERY_GRANT_TYPE, jwks=keys)
        assert client["grant_types"] == granted
        stored = await world.provider.helpers.lookup_client(client["client_id"])
        assert stored is not None
        assert list(stored.grant_types) == granted
        for useless in ([CLIENT_CREDENTIALS], [TOKEN_EXCHANGE], [JWT_BEARER], [REFRESH], []):
            metadata = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": method, "grant_types": useless}
            with nothing_changes(world):
                answer = await world.http.post("/register", json=metadata | ({"jwks": keys} if keys else {}))
                refused(answer, "invalid_client_metadata")


@requirement("S-467", "A-093", "S-392")
async def test_a_client_that_registers_itself_introspects_nothing(world: World) -> None:
    client = await world.register(token_endpoint_auth_method="client_secret_basic", introspects=[R1])
    assert "introspects" not in client
    stored = await world.provider.helpers.lookup_client(client["client_id"])
    assert stored is not None
    assert stored.introspects == ()


async def created(world: World, **metadata: Any) -> Client:
    """A client of the operator."""
    client, _ = await world.provider.helpers.create_client(metadata)
    return client


@requirement("S-218", "S-265", "S-467")
@pytest.mark.parametrize("grant_type", [CLIENT_CREDENTIALS, TOKEN_EXCHANGE, JWT_BEARER])
async def test_no_program_on_a_users_computer_acts_for_itself_or_for_others(store: Any, grant_type: str) -> None:
    async with running_world(store, **EVERYTHING) as world:
        service = await created(world, grant_types=[grant_type])
        native = await created(
            world, redirect_uris=["http://127.0.0.1/cb"], application_type="native", token_endpoint_auth_method="none"
        )
        web = await created(world, grant_types=[grant_type], application_type="web")
        assert (service.grant_types, web.grant_types) == ((grant_type,), (grant_type,))
        changes: list[tuple[Client, dict[str, Any]]] = [
            (native, {"grant_types": [CODE, grant_type]}),
            (service, {"application_type": "native"}),
            (web, {"application_type": "native"}),
        ]
        with nothing_changes(world):
            for client, change in changes:
                with pytest.raises(ClientMetadataError, match="can keep a credential"):
                    await world.provider.helpers.update_client(client.client_id, change)
            for metadata in ({"application_type": "native"}, {"token_endpoint_auth_method": "none"}):
                with pytest.raises(ClientMetadataError, match="can keep a credential"):
                    await created(world, grant_types=[grant_type], **metadata)


@requirement("C-229", "S-467")
async def test_a_client_that_introspects_alone_stays_so_when_its_name_changes(world: World) -> None:
    client = await created(world, grant_types=[], introspects=[R1])
    assert (client.grant_types, client.response_types, client.introspects) == ((), (), (R1,))
    changed = await world.provider.helpers.update_client(client.client_id, {"client_name": "The API"})
    assert changed is not None
    assert (changed.name, changed.grant_types, changed.redirect_uris) == ("The API", (), ())
    assert (await world.authorize({"client_id": client.client_id, "redirect_uris": [REDIRECT]})).status_code == 400
    with_code = {"grant_types": [CODE], "redirect_uris": [REDIRECT]}
    widened = await world.provider.helpers.update_client(client.client_id, with_code)
    assert widened is not None
    assert (widened.response_types, widened.introspects) == (("code",), (R1,))


@requirement("C-228", "S-411", "S-467")
@pytest.mark.parametrize("grant_type", [TOKEN_EXCHANGE, JWT_BEARER, "password"])
async def test_an_operator_is_told_of_a_grant_type_that_the_server_has_not(world: World, grant_type: str) -> None:
    with nothing_changes(world), pytest.raises(ClientMetadataError, match="does not offer"):
        await created(world, redirect_uris=[REDIRECT], grant_types=[CODE, grant_type])
