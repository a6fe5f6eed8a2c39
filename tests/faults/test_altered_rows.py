"""Somebody who can write to the database, but has not the deployment key, can widen, move and invent nothing."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from grantwell import SecretKey
from grantwell._flows.clients import seal
from grantwell._flows.issuance import DataKey, make_access_token, make_code, make_refresh_token, owner_of
from grantwell.crypto import Keyring, digest_of, family_digest
from grantwell_storage import SQLStore
from tests.faults.rows import GRANT_TABLES, Rows
from tests.wire.world import ISSUER, R1, R2, Pkce, Tokens, World, new_store, parsed, refused, running_world

requirement = pytest.mark.requirement

FAR = 4_000_000_000
THIEF = Pkce()


@dataclass
class Breach:
    """A world, its rows, and two grants: the attacker's own, and somebody else's."""

    world: World
    rows: Rows
    store: SQLStore
    client: dict[str, Any]
    mine: Tokens
    theirs: Tokens

    def change(self, table: str, of: Tokens, **values: Any) -> None:
        """Write values into the rows of a grant."""
        names = ", ".join(f"{name} = ?" for name in values)
        assert self.rows.run(f"UPDATE {table} SET {names} WHERE grant_id = ?", *values.values(), grant_of(of))

    def row(self, table: str, of: Tokens) -> dict[str, Any]:
        """The only row of a grant."""
        return self.rows.one(table, "grant_id = ?", grant_of(of))

    async def nobody_gains(self, *, refresh_too: bool = True) -> None:
        """Check that the attacker's tokens are refused, as what they are, and everybody else is served."""
        answer = await self.world.call(self.mine.access)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        if refresh_too:
            refused(await self.world.refresh(self.client, self.mine.refresh), "invalid_grant")
        await self.others_are_served()

    async def others_are_served(self) -> None:
        """Check that the other grant works as it did."""
        called = (await self.world.call(self.theirs.access)).json()
        assert (called["user"], called["scopes"], called["audience"]) == ("victim", ["read", "write"], [R1, R2])
        assert called["props"] == {"color": "teal", "user": "victim"}


@pytest.fixture
async def breach(tmp_path: Path) -> AsyncIterator[Breach]:
    """The moment when somebody got at the database."""
    store = new_store("sqlite", tmp_path)
    assert isinstance(store, SQLStore)
    async with running_world(store) as world:
        client = await world.register()
        mine = await world.tokens(client, headers={"x-user": "attacker"}, scope="read")
        theirs = await world.tokens(await world.register(), headers={"x-user": "victim"}, resource=[R1, R2])
        yield Breach(world, Rows(tmp_path), store, client, mine, theirs)


def grant_of(tokens: Tokens) -> str:
    return tokens.access[4:20]


@requirement("D-13", "S-305", "S-465")
@pytest.mark.parametrize(
    "values",
    [
        {"scopes": '["read","write"]'},
        {"scopes": "[]"},
        {"audience": json.dumps([R1, R2])},
        {"expires_at": FAR},
        {"issued_at": 0},
        {"props_version": 1},
        {"mac": b""},
        {"mac": bytes(32)},
        {"wrapped_key": b""},
        {"wrapped_key": bytes(40)},
    ],
    ids=lambda values: "-".join(values),
)
async def test_an_access_token_is_worth_nothing_once_its_row_was_altered(
    breach: Breach, values: dict[str, Any]
) -> None:
    breach.change("oauth_access_tokens", breach.mine, **values)
    await breach.nobody_gains(refresh_too=False)
    parsed(await breach.world.refresh(breach.client, breach.mine.refresh))


@requirement("D-13", "S-305", "S-258", "S-177")
@pytest.mark.parametrize(
    "values",
    [{"user_id": "victim"}, {"user_id": None}, {"user_id": ""}, {"client_id": "theirs"}],
    ids=lambda values: "-".join(values),
)
async def test_a_grant_cannot_be_moved_to_another_user_or_client(breach: Breach, values: dict[str, Any]) -> None:
    if "client_id" in values:
        values = {"client_id": breach.row("oauth_grants", breach.theirs)["client_id"]}
        breach.client = {**breach.client, **values}
    breach.change("oauth_grants", breach.mine, **values)
    await breach.nobody_gains()


@requirement("D-13", "S-258", "S-253", "S-255")
@pytest.mark.parametrize(
    "values",
    [
        {"scopes": '["read","write"]'},
        {"resources": json.dumps([R1, R2])},
        {"redirect_uri": "https://evil.test/"},
        {"metadata": '{"admin":true}'},
        {"created_at": 1},
        {"expires_at": FAR},
        {"expires_at": None},
        {"current_expires_at": FAR},
        {"current_expires_at": None},
        {"current_issued_at": 1},
        {"current_props_version": 7},
        {"current_wrapped_key": bytes(40)},
        {"current_mac": bytes(32)},
        {"generation": 0},
        {"generation": 2},
        {"family": bytes(32)},
        {"family": None},
    ],
    ids=lambda values: "-".join(values),
)
async def test_a_refresh_token_is_worth_nothing_once_its_row_was_altered(
    breach: Breach, values: dict[str, Any]
) -> None:
    breach.change("oauth_grants", breach.mine, **values)
    refused(await breach.world.refresh(breach.client, breach.mine.refresh), "invalid_grant")
    called = (await breach.world.call(breach.mine.access)).json()
    assert (called["user"], called["scopes"], called["audience"]) == ("attacker", ["read"], [R1])
    await breach.others_are_served()


@requirement("D-13", "A-172")
async def test_a_previous_token_cannot_be_altered_either(breach: Breach) -> None:
    first = breach.mine
    breach.mine = parsed(await breach.world.refresh(breach.client, first.refresh))
    breach.world.clock.advance(60)
    for values in ({"previous_expires_at": FAR}, {"previous_wrapped_key": bytes(40)}, {"previous_mac": b"x"}):
        with breach.rows.changed(*GRANT_TABLES):
            breach.change("oauth_grants", first, **values)
            refused(await breach.world.refresh(breach.client, first.refresh), "invalid_grant")
    parsed(await breach.world.refresh(breach.client, first.refresh))


@requirement("D-13", "D-14", "S-465")
@pytest.mark.parametrize(
    "alter",
    [
        lambda seal: bytes(len(seal)),
        lambda seal: seal[:-1] + bytes([seal[-1] ^ 1]),
        lambda seal: b"",
        lambda seal: b"\0" * 12,
    ],
)
async def test_a_sealed_answer_cannot_be_altered(breach: Breach, alter: Callable[[bytes], bytes]) -> None:
    parsed(await breach.world.refresh(breach.client, breach.mine.refresh))
    sealed = breach.row("oauth_grants", breach.mine)["seal"]
    breach.change("oauth_grants", breach.mine, seal=alter(sealed))
    refused(await breach.world.refresh(breach.client, breach.mine.refresh), "invalid_grant")
    await breach.others_are_served()


@requirement("D-13", "S-177")
@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("oauth_grants", {"user_id": "victim"}),
        ("oauth_grants", {"scopes": '["read","write"]'}),
        ("oauth_grants", {"resources": json.dumps([R1, R2])}),
        ("oauth_grants", {"metadata": '{"admin":true}'}),
        ("oauth_grants", {"redirect_uri": "https://c1.test/other"}),
        ("oauth_codes", {"expires_at": FAR}),
        ("oauth_codes", {"issued_at": 1}),
        ("oauth_codes", {"props_version": 4}),
        ("oauth_codes", {"wrapped_key": bytes(40)}),
        ("oauth_codes", {"mac": bytes(32)}),
        ("oauth_codes", {"code_challenge": THIEF.challenge}),
    ],
    ids=lambda part: part if isinstance(part, str) else "-".join(part),
)
async def test_a_code_is_worth_nothing_once_its_row_was_altered(
    breach: Breach, table: str, values: dict[str, Any]
) -> None:
    client = await breach.world.register(redirect_uris=["https://c1.test/cb", "https://c1.test/other"])
    code = await breach.world.code(client, scope="read")
    assert breach.rows.run(
        f"UPDATE {table} SET {next(iter(values))} = ? WHERE grant_id = ?", *values.values(), code[4:20]
    )
    verifier = THIEF.verifier if "code_challenge" in values else breach.world.pkce.verifier
    answer = await breach.world.exchange(client, code, redirect_uri=None, code_verifier=verifier)
    refused(answer, "invalid_grant")
    await breach.others_are_served()


@requirement("D-13", "S-240")
async def test_a_code_cannot_be_made_fresh_again(breach: Breach) -> None:
    world, client = breach.world, breach.client
    code = await world.code(client, headers={"x-user": "u9"})
    tokens = parsed(await world.exchange(client, code))
    breach.change("oauth_codes", tokens, redeemed_at=None)
    refused(await world.exchange(client, code), "invalid_grant")
    breach.change("oauth_grants", tokens, generation=0, exchanged_at=None)
    refused(await world.exchange(client, code), "invalid_grant")


@requirement("D-13", "S-305")
async def test_keys_macs_and_digests_of_one_row_are_worth_nothing_in_another(breach: Breach) -> None:
    tables = ("oauth_grants", "oauth_access_tokens", "oauth_props")
    mine = {table: breach.row(table, breach.mine) for table in tables}
    theirs = {table: breach.row(table, breach.theirs) for table in tables}
    swaps: list[tuple[str, list[str]]] = [
        ("oauth_access_tokens", ["wrapped_key"]),
        ("oauth_access_tokens", ["mac"]),
        ("oauth_access_tokens", ["digest"]),
        ("oauth_access_tokens", ["wrapped_key", "mac"]),
        ("oauth_access_tokens", ["wrapped_key", "mac", "scopes", "audience"]),
        ("oauth_access_tokens", ["wrapped_key", "mac", "scopes", "audience", "digest"]),
        ("oauth_props", ["ciphertext"]),
        ("oauth_grants", ["current_wrapped_key", "current_mac"]),
        ("oauth_grants", ["current_digest", "current_wrapped_key", "current_mac", "family"]),
        ("oauth_grants", ["user_id", "client_id", "scopes", "resources", "redirect_uri"]),
    ]
    for table, columns in swaps:
        with breach.rows.changed(*GRANT_TABLES):
            breach.change(table, breach.mine, **{column: theirs[table][column] for column in columns})
            if table != "oauth_grants" or "user_id" in columns:
                assert (await breach.world.call(breach.mine.access)).status_code == 401
            if table != "oauth_access_tokens":
                refused(await breach.world.refresh(breach.client, breach.mine.refresh), "invalid_grant")
            await breach.others_are_served()
    for column in ("digest", "wrapped_key", "mac"):
        with breach.rows.changed(*GRANT_TABLES):
            breach.change("oauth_access_tokens", breach.theirs, **{column: mine["oauth_access_tokens"][column]})
            for token in (breach.mine.access, breach.theirs.access):
                answer = await breach.world.call(token)
                assert answer.status_code in (200, 401)
                assert answer.status_code == 401 or answer.json()["user"] == "attacker"


@requirement("D-13", "S-305", "S-258", "S-465")
async def test_rows_that_were_made_without_the_deployment_key_are_worth_nothing(breach: Breach) -> None:
    """The attacker knows every recipe and every row, and lacks the key alone."""
    keyring = Keyring(ISSUER, SecretKey(secrets.token_bytes(32)))
    grant = await breach.store.get_grant(grant_of(breach.theirs))
    assert grant is not None
    now = int(breach.world.clock())
    key, props = keyring.seal_props(b'{"admin":true}', owner_of(grant), 90)
    opened = DataKey(key, 90)
    breach.rows.add("oauth_props", {"grant_id": grant.grant_id, "version": 90, "ciphertext": props.ciphertext})
    access, row = make_access_token(
        keyring, grant, opened, scopes=("read", "write"), audience=(R1,), now=now, expires_at=now + 60
    )
    breach.rows.add(
        "oauth_access_tokens",
        breach.row("oauth_access_tokens", breach.theirs)
        | {"digest": row.digest, "wrapped_key": row.wrapped_key, "mac": row.mac, "props_version": 90, "serial": 9},
    )
    assert (await breach.world.call(access)).status_code == 401
    await breach.others_are_served()

    client = {"client_id": grant.client_id, "token_endpoint_auth_method": "none", "redirect_uris": [grant.redirect_uri]}
    family = secrets.token_bytes(16)
    text, token = make_refresh_token(
        keyring, grant, opened, generation=1, family=family, now=now, expires_at=grant.expires_at
    )
    breach.change(
        "oauth_grants",
        breach.theirs,
        family=family_digest(family),
        current_digest=token.digest,
        current_wrapped_key=token.wrapped_key,
        current_mac=token.mac,
        current_props_version=90,
    )
    refused(await breach.world.refresh(client, text), "invalid_grant")

    code, issued = make_code(
        keyring, grant, opened, code_challenge=breach.world.pkce.challenge, now=now, expires_at=now + 60
    )
    breach.change(
        "oauth_codes",
        breach.theirs,
        digest=issued.digest,
        code_challenge=issued.code_challenge,
        redeemed_at=None,
        wrapped_key=issued.wrapped_key,
        mac=issued.mac,
        props_version=90,
        expires_at=now + 60,
    )
    breach.change("oauth_grants", breach.theirs, generation=0)
    refused(await breach.world.exchange(client, code), "invalid_grant")


@requirement("D-13", "S-125", "F-010")
async def test_a_revocation_that_is_taken_back_in_the_row_gives_nothing_back(breach: Breach) -> None:
    await breach.world.revoke(breach.client, breach.mine.refresh)
    breach.change("oauth_grants", breach.mine, revoked_at=None, revoked_reason=None)
    await breach.nobody_gains()


@requirement("D-13")
async def test_an_operator_can_shorten_and_end_by_hand(breach: Breach) -> None:
    breach.change("oauth_grants", breach.mine, expires_at=int(breach.world.clock()) + 10)
    assert (await breach.world.call(breach.mine.access)).status_code == 200
    breach.world.clock.advance(10)
    await breach.nobody_gains()
    breach.change("oauth_grants", breach.theirs, revoked_at=1)
    assert (await breach.world.call(breach.theirs.access)).status_code == 401


@requirement("D-13", "S-214", "S-230", "A-092")
async def test_a_client_cannot_be_widened_or_invented_in_the_database(breach: Breach) -> None:
    world = breach.world
    client = await world.register(token_endpoint_auth_method="client_secret_basic")
    stored = breach.rows.one("oauth_clients", "client_id = ?", client["client_id"])
    assert client["client_secret"] not in str(stored)
    assert bytes(client["client_secret"], "ascii") not in b"".join(v for v in stored.values() if isinstance(v, bytes))
    tokens = await world.tokens(client)
    secret = digest_of("client_secret", "mine").hex()
    for values in (
        {"secrets": json.dumps([[secret, None]])},
        {"token_endpoint_auth_method": "none"},
        {"redirect_uris": '["https://evil.test/"]'},
        {"grant_types": '["authorization_code","refresh_token","client_credentials"]'},
        {"scopes": '["admin"]'},
        {"origin": "operator"},
        {"name": "Your bank"},
        {"metadata": '{"logo_uri":"https://evil.test/"}'},
        {"created_at": 1},
        {"version": 9},
        {"mac": bytes(32)},
    ):
        with breach.rows.changed("oauth_clients", *GRANT_TABLES):
            (name, value), *_ = values.items()
            breach.rows.run(f"UPDATE oauth_clients SET {name} = ? WHERE client_id = ?", value, client["client_id"])
            for known in (client, client | {"client_secret": "mine"}, client | {"token_endpoint_auth_method": "none"}):
                refused(await world.refresh(known, tokens.refresh), "invalid_client", 401)
            assert (await world.authorize(client)).status_code == 400
            await breach.others_are_served()
    found = await breach.store.get_client(client["client_id"])
    assert found is not None
    invented = seal(Keyring(ISSUER, SecretKey(bytes(32))), replace(found, client_id="invented", last_used_at=None))
    breach.rows.add("oauth_clients", stored | {"client_id": invented.client_id, "mac": invented.mac})
    refused(await world.refresh(client | {"client_id": "invented"}, tokens.refresh), "invalid_client", 401)
    assert (await world.authorize(client | {"client_id": "invented"})).status_code == 400
    parsed(await world.refresh(client, tokens.refresh))
