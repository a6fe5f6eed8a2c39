"""What a thief of the database and of the logs has: nothing that is accepted, and nothing that was secret (A-319)."""

from __future__ import annotations

import base64
import json
import logging
import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.requests import Request

from grantwell import SecretKey
from grantwell._protocol.tokens import format_access_token, format_client_secret, format_code, format_refresh_token
from tests.signin.browser import COOKIE, PASSWORD, USER, Browser, Place, form_of, read, running_place
from tests.wire.world import Tokens, asgi_scope, new_store, parsed

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

KEY = SecretKey(secrets.token_bytes(32))


@dataclass
class Loot:
    """Everything secret that a day at the server brought forth, and what is still good at its end."""

    secret: dict[str, str] = field(default_factory=dict)
    public: dict[str, Any] = field(default_factory=dict)
    confidential: dict[str, Any] = field(default_factory=dict)
    live: list[Tokens] = field(default_factory=list)
    code: str = ""
    cookie: str = ""
    grant_ids: list[str] = field(default_factory=list)

    def keep(self, **named: str) -> None:
        self.secret |= {f"{name} {len(self.secret)}": value for name, value in named.items()}

    def keep_tokens(self, tokens: Tokens) -> Tokens:
        self.keep(access=tokens.access, refresh=tokens.refresh)
        return tokens


def code_in(location: str) -> str:
    return location.partition("code=")[2].partition("&")[0]


async def a_day(place: Place) -> Loot:
    """Every kind of row, in every state that a secret could have been left in."""
    world, loot = place.world, Loot()
    helpers = world.provider.helpers
    loot.keep(key=KEY.keys[0].hex(), password=PASSWORD, wrong="not-the-password", verifier=world.pkce.verifier)
    loot.public = await world.register()
    loot.confidential = await world.register(token_endpoint_auth_method="client_secret_basic")
    posting = await world.register(token_endpoint_auth_method="client_secret_post")
    loot.keep(basic=loot.confidential["client_secret"], post=posting["client_secret"])

    browser = place.browser()
    page = await browser.follow(await browser.authorize(loot.public))
    loot.keep(before=browser.cookie)
    await browser.sign_in(page, password="not-the-password")
    page = await browser.follow(await browser.sign_in(page))
    loot.cookie = browser.cookie
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
        asked = await helpers.parse_authorization_request(
            Request(asgi_scope("/authorize", query_string=urlencode(browser.request(client)).encode()))
        )
        for props in ({"upstream": canary}, [canary.upper()] * 50):
            code = code_in(await helpers.complete_authorization(asked, user_id="u2", props=props))
            loot.keep(code=code, canary=canary, upper=canary.upper())
            tokens = loot.keep_tokens(parsed(await world.exchange(client, code)))
        loot.live.append(loot.keep_tokens(parsed(await world.refresh(client, tokens.refresh))))
        await world.revoke(client, tokens.access)

    # Left in the middle: a question that nobody answered, and a code that nobody exchanged.
    loot.keep(csrf=form_of(await browser.asked(loot.public), "/consent")["csrf"])
    loot.code = code_in((await browser.answer(await browser.asked(loot.public))).headers["location"])
    loot.keep(code=loot.code)
    stranger = place.browser()
    await stranger.authorize(loot.public)
    loot.keep(stranger=stranger.cookie)
    loot.grant_ids = [grant.grant_id for grant in (await helpers.list_grants()).items]
    return loot


def files_of(folder: Path) -> dict[str, bytes]:
    """The database with whatever lies beside it."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def modes_of(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def cells_of(folder: Path) -> list[Any]:
    """Every value of every column of every table."""
    with closing(sqlite3.connect(folder / "oauth.db")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert len(tables) >= 9
        rows = [row for table in tables for row in database.execute(f'SELECT * FROM "{table}"')]
    return [value for row in rows for value in row if value is not None]


def spellings(value: Any) -> Iterator[str]:
    """The ways in which a thief could write a value down."""
    if isinstance(value, bytes):
        yield from (value.hex(), value.hex().upper(), value.decode("latin-1"))
        for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode):
            yield from (encode(value).decode(), encode(value).decode().rstrip("="))
        return
    text = str(value)
    yield from (text, base64.b64encode(text.encode()).decode())
    if text[:1] in "[{":
        yield from leaves(json.loads(text))
    for decode in (bytes.fromhex, base64.b64decode):
        try:
            decoded = decode(text)
        except ValueError:
            continue
        yield from (decoded.hex(), decoded.decode("latin-1"), base64.urlsafe_b64encode(decoded).decode())


def leaves(document: Any) -> Iterator[str]:
    members = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    for member in members:
        yield from leaves(member) if isinstance(member, dict | list) else spellings(member)


def forged(cells: list[Any], grant_ids: list[str]) -> Iterator[str]:
    """What somebody who knows the form of our tokens would make of 32 stored bytes and a real grant id."""
    families = [bytes(16)]
    stored = {value for value in cells if isinstance(value, bytes) and len(value) >= 32}
    stored |= {bytes.fromhex(value) for value in re.findall(r"\b[0-9a-f]{64}\b", " ".join(map(str, cells)))}
    for value in sorted(stored):
        yield format_client_secret(value[-32:])
        for grant_id in grant_ids:
            yield format_access_token(grant_id, value[:32])
            yield format_code(grant_id, value[:32])
            yield from (format_refresh_token(grant_id, (value + f)[:16], value[:32]) for f in families)


def bearer(text: str) -> bytes:
    return b"Bearer " + text.encode("utf-8", "replace").replace(b"\r", b"").replace(b"\n", b"")


@requirement("A-319", "A-320", "A-324", "S-465", "S-230", "S-305", "S-126", "D-10", "C-238")
async def test_no_value_in_the_database_is_accepted_as_anything(tmp_path: Path) -> None:
    async with running_place(new_store("sqlite", tmp_path), secret_key=KEY) as place:
        world, loot = place.world, await a_day(place)
        cells = cells_of(tmp_path)
        runs = [
            run.decode() for data in files_of(tmp_path).values() for run in re.findall(rb"[\x21-\x7e]{16,200}", data)
        ]
        stolen = {text for value in cells for text in spellings(value)} | set(forged(cells, loot.grant_ids)) | set(runs)
        stolen = {text for text in stolen if 0 < len(text) <= 512 and "\x00" not in text}
        assert len(stolen) > 1000
        signed_in = await place.browser().http.get("/signin", headers={"Cookie": f"{COOKIE}={loot.cookie}"})
        assert USER in read(signed_in).words, "so that the page tells whether a cookie is good"
        for text in sorted(stolen):
            await assert_useless(place, loot, text)
        # All that was good before still is: no guess revoked or spent anything.
        for client, tokens in zip((loot.public, loot.confidential), loot.live, strict=False):
            assert (await world.call(tokens.access)).status_code == 200
            parsed(await world.refresh(client, tokens.refresh))
        parsed(await world.exchange(loot.public, loot.code))


async def assert_useless(place: Place, loot: Loot, text: str) -> None:
    world = place.world
    send = world.http.request
    refused = await send("GET", "/api", headers=[(b"authorization", bearer(text))])
    assert refused.status_code in (400, 401), text
    for answer in [
        await world.refresh(loot.public, text),
        await world.exchange(loot.public, text),
        await world.post("/token", loot.public | {"client_id": text}, {"grant_type": "refresh_token"}),
    ]:
        assert answer.status_code in (400, 401), text
    authenticated = await world.exchange(loot.confidential | {"client_secret": text}, loot.code)
    assert (authenticated.status_code, authenticated.json()["error"]) == (401, "invalid_client"), text
    revoked = await world.revoke(loot.public, text)
    assert revoked.status_code in (200, 400), text
    if text.isascii() and text.isprintable() and not set(text) & set(' ";,'):
        page = await send("GET", "/signin", headers={"Cookie": f"{COOKIE}={text}"})
        assert USER not in read(page).words, text


@requirement("A-319", "A-321", "S-090", "S-465", "S-466", "C-239")
async def test_nothing_secret_is_in_the_files_or_in_the_logs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "aiosqlite"):
        caplog.set_level(logging.DEBUG, logger=name)
    async with running_place(new_store("sqlite", tmp_path), secret_key=KEY) as place:
        loot = await a_day(place)
        await provoke(place, loot)
        during = files_of(tmp_path)
        await place.world.provider.helpers.revoke_user_grants(USER)
        await place.world.provider.helpers.purge_expired()
    after = files_of(tmp_path)
    assert {"oauth.db", "oauth.db-wal"} <= set(during)
    # The client of these tests logs its own URLs; what a server's access log keeps is the operator's choice.
    lines = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    said = "\n".join(f"{record.getMessage()} {record.exc_info and record.exc_text}" for record in lines)
    assert "code_exchanged" in said
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
