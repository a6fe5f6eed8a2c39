"""What a thief of the database and of the logs has: nothing that is accepted, and nothing that was secret (A-319)."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
import socket
import sqlite3
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp

from grantwell import SecretKey
from grantwell.cli.leak_drill.collecting import collect
from tests.cli.processes import run
from tests.signin.browser import COOKIE, PASSWORD, USER, Browser, Place, form_of, running_place
from tests.wire.world import REDIRECT, Tokens, asgi_scope, new_store, parsed

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement

KEY = SecretKey(secrets.token_bytes(32))
KINDS = {
    "access token",
    "refresh token",
    "authorization code",
    "client secret (Basic)",
    "client secret (form)",
    "client assertion",
    "session cookie",
    "initial access token",
    "registration access token",
    "introspection token",
}


@dataclass
class Loot:
    """Everything secret that a day at the server brought forth, and what is still good at its end."""

    secret: dict[str, str] = field(default_factory=dict)
    public: dict[str, Any] = field(default_factory=dict)
    confidential: dict[str, Any] = field(default_factory=dict)
    live: list[Tokens] = field(default_factory=list)
    code: str = ""
    cookie: str = ""

    def keep(self, **named: str) -> None:
        self.secret |= {f"{name} {len(self.secret)}": value for name, value in named.items()}

    def keep_tokens(self, tokens: Tokens) -> Tokens:
        self.keep(access=tokens.access, refresh=tokens.refresh)
        return tokens


def code_in(location: str) -> str:
    return location.partition("code=")[2].partition("&")[0]


def cookie_of(browser: Browser) -> str:
    """Its session cookie, whatever the name."""
    return next((cookie.value or "" for cookie in browser.http.cookies.jar), "")


async def registered(place: Place, loot: Loot, **changes: Any) -> dict[str, Any]:
    """A client that registered itself, with an initial access token."""
    token = await place.world.provider.helpers.create_initial_access_token()
    metadata = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"} | changes
    metadata["grant_types"] = ["authorization_code", "refresh_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = await place.world.http.post("/register", json=metadata, headers=headers)
    assert answer.status_code == 201, answer.text
    client: dict[str, Any] = answer.json()
    loot.keep(initial=token)
    if "registration_access_token" in client:
        loot.keep(registration=client["registration_access_token"])
    return client


async def a_day(place: Place) -> Loot:
    """Every kind of row, in every state that a secret could have been left in."""
    world, loot = place.world, Loot()
    asked = {"resource": f"{world.provider.settings.issuer}/api"}
    helpers = world.provider.helpers
    loot.keep(key=KEY.keys[0].hex(), password=PASSWORD, wrong="not-the-password", verifier=world.pkce.verifier)
    loot.public = await registered(place, loot)
    loot.confidential = await registered(place, loot, token_endpoint_auth_method="client_secret_basic")
    posting = await registered(place, loot, token_endpoint_auth_method="client_secret_post")
    loot.keep(basic=loot.confidential["client_secret"], post=posting["client_secret"])

    browser = place.browser()
    page = await browser.follow(await browser.authorize(loot.public, **asked))
    loot.keep(before=cookie_of(browser))
    await browser.sign_in(page, password="not-the-password")
    page = await browser.follow(await browser.sign_in(page))
    loot.cookie = cookie_of(browser)
    loot.keep(cookie=loot.cookie, csrf=form_of(page, "/consent")["csrf"])
    code = code_in((await browser.answer(page)).headers["location"])
    loot.keep(code=code)
    first = loot.keep_tokens(parsed(await world.exchange(loot.public, code)))
    second = loot.keep_tokens(parsed(await world.refresh(loot.public, first.refresh)))
    loot.keep_tokens(parsed(await world.refresh(loot.public, first.refresh, scope="read")))
    loot.live.append(loot.keep_tokens(parsed(await world.refresh(loot.public, second.refresh))))
    child = await helpers.exchange_token(loot.live[0].access, ttl=60)
    loot.keep(exchanged=child["access_token"])

    for client, canary in [
        (loot.confidential, "canary-" + secrets.token_hex(12)),
        (posting, "🦜" + secrets.token_hex(12)),
    ]:
        request = await helpers.parse_authorization_request(
            Request(asgi_scope("/authorize", query_string=urlencode(browser.request(client, **asked)).encode()))
        )
        for props in ({"upstream": canary}, [canary.upper()] * 50):
            code = code_in(await helpers.complete_authorization(request, user_id="u2", props=props))
            loot.keep(code=code, canary=canary, upper=canary.upper())
            tokens = loot.keep_tokens(parsed(await world.exchange(client, code)))
        loot.live.append(loot.keep_tokens(parsed(await world.refresh(client, tokens.refresh))))
        await world.revoke(client, tokens.access)

    # Left in the middle: a question that nobody answered, and a code that nobody exchanged.
    loot.keep(csrf=form_of(await browser.asked(loot.public, **asked), "/consent")["csrf"])
    loot.code = code_in((await browser.answer(await browser.asked(loot.public, **asked))).headers["location"])
    loot.keep(code=loot.code)
    stranger = place.browser()
    await stranger.authorize(loot.public, **asked)
    loot.keep(stranger=cookie_of(stranger))
    return loot


def files_of(folder: Path) -> dict[str, bytes]:
    """The database with whatever lies beside it."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def modes_of(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


@asynccontextmanager
async def served_place(
    folder: Path, around: Callable[[ASGIApp], ASGIApp] = lambda app: app, **options: Any
) -> AsyncIterator[Place]:
    """A place that is served on a free port of this machine, over `oauth.db` in the folder; `around` may wrap it."""
    # With its protocol named, asyncio turns Nagle's algorithm off; with it, each answer on a kept connection is late.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings: dict[str, Any] = {"introspection_endpoint": "/introspect", "allow_client_management": True} | options
        async with running_place(new_store("sqlite", folder), secret_key=KEY, issuer=issuer, **settings) as place:
            config = uvicorn.Config(around(place.world.provider), lifespan="off", log_config=None, access_log=False)
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                yield place
            finally:
                server.should_exit = True
                await serving


async def drilled(
    place: Place, folder: Path, *words: str, database: str = "oauth.db", **environment: str
) -> subprocess.CompletedProcess[str]:
    """What `grantwell leak-drill` says of a served place, beside a database in its folder."""
    url = ["--database-url", f"sqlite+aiosqlite:///{database}"]
    issuer = place.world.provider.settings.issuer
    return await asyncio.to_thread(run, folder, "leak-drill", issuer, *url, *words, **environment)


async def assert_still_good(place: Place, loot: Loot) -> None:
    """All that was good at the end of the day still is: no guess revoked or spent anything."""
    world = place.world
    for client, tokens in zip((loot.public, loot.confidential), loot.live, strict=False):
        assert (await world.call(tokens.access)).status_code == 200
        parsed(await world.refresh(client, tokens.refresh))
    parsed(await world.exchange(loot.public, loot.code))


@requirement("A-319", "A-320", "A-324", "S-465", "S-230", "S-305", "S-126", "D-10", "C-238")
async def test_no_value_in_the_database_is_accepted_as_anything(tmp_path: Path) -> None:
    async with served_place(tmp_path, require_initial_access_token=True) as place:
        loot = await a_day(place)
        done = await drilled(place, tmp_path, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        outcome = json.loads(done.stdout)
        assert outcome["accepted"] == []
        assert outcome["not_tried"] == []
        assert outcome["tables"] >= 12
        assert outcome["texts"]["tried"] == outcome["texts"]["found"] > 1000
        assert {kind["kind"] for kind in outcome["attempts"]} == KINDS
        for kind in outcome["attempts"]:
            assert kind["tried"] == kind["possible"] > 500
            assert kind["unanswered"] == kind["accepted"] == 0
        await assert_still_good(place, loot)


@requirement("A-319", "A-320")
async def test_no_value_in_the_database_revokes_anything(tmp_path: Path) -> None:
    async with running_place(new_store("sqlite", tmp_path), secret_key=KEY) as place:
        loot = await a_day(place)
        collecting = partial(collect, tmp_path / "oauth.db", [], capacity=100_000, progress=lambda found: None)
        for stolen in (await asyncio.to_thread(collecting)).texts:
            answer = await place.world.revoke(loot.public, stolen.text.encode("utf-8", "replace").decode())
            assert answer.status_code in (200, 400), stolen.places
        await assert_still_good(place, loot)


@requirement("A-319", "A-321", "S-090", "S-465", "S-466", "C-239", "G-503")
async def test_nothing_secret_is_in_the_files_or_in_the_logs(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for limit in ("MOST_A_MINUTE", "MOST_A_MINUTE_FROM_A_NETWORK"):
        monkeypatch.setattr(f"grantwell._flows.audit.{limit}", 100_000)
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "aiosqlite"):
        caplog.set_level(logging.DEBUG, logger=name)
    async with running_place(new_store("sqlite", tmp_path), secret_key=KEY) as place:
        loot = await a_day(place)
        await provoke(place, loot)
        # At DEBUG the driver tells what it looks up, which is now what others send in the place of an id.
        with caplog.at_level(logging.INFO, logger="aiosqlite"):
            await ask_with_secrets_in_the_wrong_places(place, loot)
        events = await place.world.provider.helpers.list_events(limit=1000)
        during = files_of(tmp_path)
        await place.world.provider.helpers.revoke_user_grants(USER)
        await place.world.provider.helpers.purge_expired()
    after = files_of(tmp_path)
    assert {"oauth.db", "oauth.db-wal"} <= set(during)
    # The client of these tests logs its own URLs; what a server's access log keeps is the operator's choice.
    lines = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    said = "\n".join(f"{record.getMessage()} {record.exc_info and record.exc_text}" for record in lines)
    assert "code_exchanged" in said
    kept = Counter(event.name for event in events.items)
    assert kept["refused"] > 5 * len(loot.secret), "every refusal was looked at"
    assert {"grant_issued", "code_exchanged", "token_refreshed", "signed_in", "sign_in_failed"} <= set(kept)
    assert "INSERT INTO" in said, "the driver was listened to as well"
    places = {
        **during,
        **{f"{name} after": data for name, data in after.items()},
        "log": said.encode(),
        "output": "".join(capfd.readouterr()).encode(),
    }
    found = [
        (name, where)
        for name, value in loot.secret.items()
        for form in forms_of(value)
        for where, data in places.items()
        if form in data
    ]
    assert not found
    assert len(loot.secret) > 30
    assert not [name for name in after if "tmp" in name or "journal" in name]


def forms_of(value: str) -> set[bytes]:
    """A secret as it may lie about: as text in three encodings, in base64, in hex, escaped; and without its prefix."""
    raw = value.encode()
    texts = {raw, raw[:24], value.encode("utf-16-le"), base64.b64encode(raw).rstrip(b"="), raw.hex().encode()}
    texts |= {json.dumps(value)[1:-1].encode()}
    if value.startswith("gw"):
        # A token holds its grant's id, which is not secret; what is random of it lies behind.
        random = raw[-49:]
        texts = (texts - {raw[:24]}) | {random, random[:20], base64.urlsafe_b64decode(random[:43] + b"=")}
    return {text for text in texts if len(text) >= 8}


async def provoke(place: Place, loot: Loot) -> None:
    """Make the server talk: every refusal with real secrets in it."""
    world = place.world
    for tokens in loot.live:
        await world.call(tokens.refresh)
        await world.call(tokens.access, f"/api?access_token={tokens.access}")
        await world.call(tokens.access, "/other")
        await world.refresh(loot.public, tokens.access)
        await world.refresh(loot.confidential | {"client_secret": "x"}, tokens.refresh)
        await world.exchange(loot.public, tokens.refresh)
        await world.exchange(loot.public, loot.code, code_verifier=world.pkce.challenge)
        await world.post("/token", loot.public, {"grant_type": tokens.access})
        await world.revoke(loot.confidential, tokens.refresh)
        await world.http.post("/register", json={"redirect_uris": [f"https://c1.test/cb?code={loot.code}"]})
        await world.authorize(loot.public, state=tokens.access, scope=tokens.access, resource=tokens.access)
    browser: Browser = place.browser()
    await browser.sign_in(username=PASSWORD, password=loot.cookie)
    await world.http.get("/signin", headers={"Cookie": f"{COOKIE}={loot.cookie}; x={loot.code}"})


async def ask_with_secrets_in_the_wrong_places(place: Place, loot: Loot) -> None:
    """As a client that is wrong, or wants to be helped with its logs, may send them."""
    world = place.world
    tokens = [
        value for name, value in loot.secret.items() if not name.startswith(("password", "wrong", "canary", "upper"))
    ]
    for value in tokens:
        wrongs: list[dict[str, Any]] = [
            {"client_id": value},
            {"redirect_uri": f"https://u:{value}@c1.test/cb"},
            {"redirect_uri": f"https://c1.test/{quote(value, safe='')}?code={value}#{value}"},
            {"scope": f"read {value} {value}", "resource": f"https://as.test/{value}"},
            {"scope": "x" * 780 + " " + value, "prompt": value},
        ]
        for wrong in wrongs:
            await world.authorize(loot.public, **wrong)
            await world.http.post("/token", data={"grant_type": value} | wrong)


@requirement("A-331", "A-330", "S-125", "A-319")
async def test_of_what_was_revoked_nothing_is_left_that_its_token_could_open(tmp_path: Path) -> None:
    async with running_place(new_store("sqlite", tmp_path), secret_key=KEY) as place:
        loot = await a_day(place)
        for user in (USER, "u2"):
            await place.world.provider.helpers.revoke_user_grants(user)
        with closing(sqlite3.connect(tmp_path / "oauth.db")) as database:
            assert database.execute("SELECT count(*) FROM oauth_access_tokens").fetchone() == (0,)
            assert database.execute("SELECT count(*) FROM oauth_props").fetchone() == (0,)
            columns = "seal, current_wrapped_key, previous_wrapped_key, current_digest, previous_digest"
            kept = {value for row in database.execute(f"SELECT {columns} FROM oauth_grants") for value in row}
            kept |= {value for (value,) in database.execute("SELECT wrapped_key FROM oauth_codes")}
            assert kept <= {None, b""}
        answers: list[httpx.Response] = [await place.world.call(tokens.access) for tokens in loot.live]
        assert {answer.status_code for answer in answers} == {401}


@requirement("A-335", "A-321")
async def test_the_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    async with running_place(new_store("sqlite", tmp_path), secret_key=KEY) as place:
        await a_day(place)
        modes = modes_of(tmp_path)
    assert set(modes) >= {"oauth.db", "oauth.db-wal", "oauth.db-shm"}
    assert set(modes.values()) == {0o600}
