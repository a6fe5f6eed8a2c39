"""What happened before a case, and what has to hold after it, by the words that the catalogue uses."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

from grantwell._flows.clients import seal
from tests.threats.exchanges import Answer
from tests.threats.hands import Hand

_GRANT_ID = slice(4, 20)
_SOFTWARE = re.compile("python|uvicorn|starlette|sqlalchemy|sqlite|grantwell|traceback")
_LEAST = {"client_id", "client_id_issued_at", "client_name", "redirect_uris"} | {
    "grant_types",
    "response_types",
    "token_endpoint_auth_method",
}


async def let_happen(event: str, hand: Hand) -> None:
    """One `given` of a case."""
    helpers = hand.arena.place.world.provider.helpers
    client_id = (await hand.client())["client_id"]
    match event.partition(" "):
        case ("redeemed", _, ""):
            await hand.redeem()
        case ("rotated", _, times):
            for _ in range(int(times or 1)):
                await hand.rotate()
        case ("narrowed", _, resource):
            await hand.rotate({"resource": resource.removeprefix("to ")} if resource else {"scope": "read"})
        case ("after", _, seconds):
            await hand.code()
            await hand.tokens()
            hand.arena.place.world.clock.advance(float(seconds))
        case ("later", _, seconds):
            hand.arena.place.world.clock.advance(float(seconds))
        case ("asked", _, ""):
            await hand.consent_form()
        case ("revoked", _, "code"):
            assert await helpers.revoke_grant((await hand.code())[_GRANT_ID])
        case ("revoked", _, "grant"):
            assert await helpers.revoke_grant((await hand.tokens()).access[0][_GRANT_ID])
        case ("revoked", _, "user"):
            await hand.tokens()
            assert await helpers.revoke_user_grants("u2") >= 1
        case ("deleted", _, "client"):
            await hand.code()
            await hand.tokens()
            assert await helpers.delete_client(client_id)
        case ("withdrawn", _, "redirect"):
            await hand.code()
            assert await helpers.update_client(client_id, {"redirect_uris": ["https://c1.test/new"]})
        case ("forked", _, ""):
            await hand.fork()
        case ("believed", _, redirect_uri):
            await hand.code()
            await _believe(hand, redirect_uri)
        case ("stored", _, change):
            await hand.code()
            await hand.tokens()
            _write(hand, await hand.fill(change))
        case _:
            raise ValueError(f"nobody knows what {event!r} is")


async def _believe(hand: Hand, redirect_uri: str) -> None:
    """Let the client have a redirect URI that could not be registered, in a row that the server wrote itself."""
    place = hand.arena.place
    store: Any = place.store
    client = await store.get_client((await hand.client())["client_id"])
    changed = replace(client, redirect_uris=(redirect_uri,), version=client.version + 1, mac=b"")
    assert await store.replace_client(seal(place.keyring, changed))


def _write(hand: Hand, change: str) -> None:
    """Write to the database behind the server's back: `TABLE.COLUMN = VALUE`, in every row."""
    target, _, value = change.partition(" = ")
    table, _, column = target.partition(".")
    with closing(sqlite3.connect(hand.arena.database)) as database, database:
        database.execute(f'UPDATE "{table}" SET "{column}" = ?', (value,))


async def check_after(event: str, hand: Hand, answer: Answer) -> None:
    """One `then` of a case."""
    if not _check_answer(event, answer):
        await _check_tokens(event, hand, answer)


def _check_answer(event: str, answer: Answer) -> bool:
    """What holds of the answer alone; False for an event that is about something else."""
    match event.partition(" "):
        case ("registered", _, rest):
            name, _, value = rest.partition(" ")
            registered = answer.json[name]
            assert (registered if isinstance(registered, str) else " ".join(registered)) == value
        case ("with", _, "a secret"):
            assert answer.json["client_secret"].startswith("gws_")
            assert answer.json["client_secret_expires_at"] == 0
            assert answer.json["token_endpoint_auth_method"].startswith("client_secret_")
        case ("without", _, "a secret"):
            assert not {"client_secret", "client_secret_expires_at"} & answer.json.keys()
            assert answer.json["token_endpoint_auth_method"] == "none"
        case ("without", _, "a name"):
            assert "client_name" not in answer.json
        case ("without", _, "a refresh token"):
            assert not [name for name in answer.json if "refresh" in name]
        case ("no", _, "version is told"):
            head = answer.raw.partition(b"\r\n\r\n")[0].decode("latin-1")
            assert not _SOFTWARE.search(answer.text.lower()), answer.text
            assert not re.search(r"[a-z]/[0-9]+\.", head.replace("HTTP/1.1", ""))
        case ("it", _, "never says offline_access"):
            assert "offline" not in answer.text
        case ("nothing", _, "was believed"):
            # A client that says the least gets these members.
            assert answer.json.keys() == _LEAST
            assert answer.json["redirect_uris"] == ["https://c1.test/cb"]
        case _:
            return False
    return True


async def _check_tokens(event: str, hand: Hand, answer: Answer) -> None:
    held = await hand.tokens()
    called = [(await hand.call(access)).status for access in held.access]
    match event:
        case "the grant lives":
            assert set(called) == {200}
            await hand.rotate()
        case "the grant ended":
            assert set(called) == {401}
            for token in held.refresh:
                assert (await hand.refresh(hand.client_name, token)).json["error"] == "invalid_grant"
        case "it was the answer before":
            assert (answer.json["access_token"], answer.json["refresh_token"]) == (held.access[-1], held.refresh[-1])
        case "it was another answer":
            assert answer.json["refresh_token"] not in held.refresh
            lost = await hand.refresh(hand.client_name, held.refresh[-1])
            assert lost.json["error"] == "invalid_grant"
            assert (await hand.refresh(hand.client_name, answer.json["refresh_token"])).status == 200
        case "the newest access token ended":
            assert called[-1] == 401
            await hand.rotate()
        case _:
            raise ValueError(f"nobody knows what {event!r} is")
