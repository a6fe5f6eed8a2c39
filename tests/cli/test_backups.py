"""A copy of the database under load, and the way back from it, on which nothing comes back to life."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import stat
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from grantwell_migrations import upgrade
from tests.cli.processes import COMMAND, DEMO_PASSWORD, Demo, demo_server, environment
from tests.cli.terminal import Terminal
from tests.docs.first_client import bearer, tokens_for
from tests.interop.person import Person
from tests.migrations.older import upgrade_to

pytestmark = [pytest.mark.anyio, pytest.mark.system]

requirement = pytest.mark.requirement


async def granted(demo: Demo, http: httpx.AsyncClient) -> dict[str, Any]:
    """Tokens of a new client."""
    async with Person("demo", DEMO_PASSWORD) as person:
        return await tokens_for(http, person, scope="notes:read", resource=f"{demo.url}/api")


async def refreshed(http: httpx.AsyncClient, tokens: dict[str, Any]) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": tokens["client_id"]}
    return await http.post("/token", data=form)


async def called(http: httpx.AsyncClient, tokens: dict[str, Any]) -> int:
    return (await http.get("/api", headers=bearer(tokens))).status_code


def rows(path: Path) -> str:
    """What a database says, whatever its pages are."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return "\n".join(database.iterdump())


def assert_whole(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


@requirement("F-034", "D-34")
async def test_what_was_revoked_or_rotated_after_a_backup_stays_dead_when_it_is_restored(tmp_path: Path) -> None:
    with demo_server(tmp_path) as demo:
        async with httpx.AsyncClient(base_url=demo.url) as http:
            revoked, rotated, untouched = [await granted(demo, http) for _ in range(3)]
            await asyncio.to_thread(demo.run, "backup", "before.db")
            form = {"token": revoked["refresh_token"], "client_id": revoked["client_id"]}
            assert (await http.post("/revoke", data=form)).status_code == 200
            successor = (await refreshed(http, rotated)).json() | {"client_id": rotated["client_id"]}
            later = await granted(demo, http)

            said = await asyncio.to_thread(demo.run, "restore", "before.db", "--yes")

            assert "3 grants, 3 access tokens" in said
            for tokens in (revoked, rotated, successor, untouched, later):
                assert await called(http, tokens) == 401
                assert (await refreshed(http, tokens)).status_code in (400, 401)
            assert await called(http, await granted(demo, http)) == 200


@requirement("F-034", "D-34")
async def test_grants_are_kept_on_request_and_their_access_tokens_sessions_and_codes_are_not(tmp_path: Path) -> None:
    with demo_server(tmp_path) as demo:
        async with httpx.AsyncClient(base_url=demo.url) as http:
            tokens = await granted(demo, http)
            await asyncio.to_thread(demo.run, "backup", "before.db")

            await asyncio.to_thread(demo.run, "restore", "before.db", "--yes", "--keep-grants")

            assert await called(http, tokens) == 401
            fresh = await refreshed(http, tokens)
            assert fresh.status_code == 200
            assert await called(http, fresh.json()) == 200


@requirement("F-034")
async def test_a_code_that_was_spent_after_the_backup_is_not_good_once_more(tmp_path: Path) -> None:
    with demo_server(tmp_path) as demo:
        async with httpx.AsyncClient(base_url=demo.url) as http:
            spent: list[httpx.Request] = []

            async def back_up_first(request: httpx.Request) -> None:
                if request.url.path == "/token" and not spent:
                    spent.append(request)
                    await asyncio.to_thread(demo.run, "backup", "before.db")

            http.event_hooks["request"] = [back_up_first]
            assert await called(http, await granted(demo, http)) == 200
            await asyncio.to_thread(demo.run, "restore", "before.db", "--yes", "--keep-grants")

            (exchange,) = spent
            again = await http.post(
                "/token", content=exchange.content, headers={"content-type": exchange.headers["content-type"]}
            )

            assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@requirement("F-033")
async def test_a_backup_under_load_is_the_database_at_one_moment(tmp_path: Path) -> None:
    with demo_server(tmp_path) as demo:
        async with httpx.AsyncClient(base_url=demo.url) as http:
            stop = asyncio.Event()

            async def register() -> int:
                done = 0
                while not stop.is_set():
                    metadata = {"redirect_uris": ["https://client.example/cb"], "token_endpoint_auth_method": "none"}
                    done += (await http.post("/register", json=metadata)).status_code == 201
                return done

            load = [asyncio.create_task(register()) for _ in range(4)]
            try:
                for number in range(4):
                    await asyncio.to_thread(demo.run, "backup", f"copy{number}.db")
            finally:
                stop.set()
            assert sum(await asyncio.gather(*load)) > 0
    sizes = []
    for number in range(4):
        copy = tmp_path / f"copy{number}.db"
        assert_whole(copy)
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with closing(sqlite3.connect(copy)) as database:
            sizes += database.execute("SELECT count(*) FROM oauth_clients").fetchone()
    assert sizes == sorted(sizes)


@requirement("F-033")
def test_what_was_erased_is_not_in_a_backup(migrated: Terminal) -> None:
    needle = "a-name-that-was-erased"
    with closing(sqlite3.connect("grantwell.db", isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("CREATE TABLE scratch (x TEXT)")
        database.execute("INSERT INTO scratch VALUES (?)", (needle * 400,))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("DELETE FROM scratch")
    assert needle.encode() in (migrated.folder / "grantwell.db").read_bytes()

    migrated("backup", "copy.db")

    assert needle.encode() not in (migrated.folder / "copy.db").read_bytes()


def test_a_backup_overwrites_nothing_and_leaves_nothing_behind(migrated: Terminal) -> None:
    (migrated.folder / "copy.db").write_text("precious")

    assert "copy.db exists; choose another name" in migrated("backup", "copy.db", code=1).stderr
    assert "cannot be made" in migrated("backup", "no/such/folder/copy.db", code=1).stderr

    assert (migrated.folder / "copy.db").read_text() == "precious"
    assert {path.name for path in migrated.folder.iterdir()} <= {
        "copy.db",
        "grantwell.db",
        "grantwell.db-wal",
        "grantwell.db-shm",
    }


def test_there_is_no_backup_of_what_is_no_database(terminal: Terminal) -> None:
    assert "Run: grantwell migrate" in terminal("backup", "copy.db", code=1).stderr
    assert list(terminal.folder.iterdir()) == []


@requirement("D-34")
def test_a_backup_of_an_older_version_is_brought_to_this_one(migrated: Terminal) -> None:
    upgrade_to(migrated.folder / "old.db", "0001")

    migrated("restore", "old.db", "--yes")

    assert migrated.json("migrate")["schema_version"] > "0001"
    assert migrated.json("clients", "list") == []


def damaged(path: Path) -> None:
    """A copy that was cut in the middle, as of a disk that was full."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@requirement("D-34")
def test_what_cannot_be_restored_changes_nothing(migrated: Terminal) -> None:
    migrated.client()
    migrated("backup", "cut.db")
    damaged(migrated.folder / "cut.db")
    (migrated.folder / "text.db").write_text("This is no database at all." * 50)
    migrated("backup", "newer.db")
    for name, statement in {
        "newer.db": "UPDATE oauth_schema_version SET version_num = '9999'",
        "strange.db": "CREATE TABLE notes (x)",
    }.items():
        with closing(sqlite3.connect(name)) as database, database:
            database.execute(statement)
    before = rows(migrated.folder / "grantwell.db")
    files = {path.name for path in migrated.folder.iterdir()}

    for name, sentence in {
        "cut.db": "cut.db",
        "text.db": "is not an SQLite database",
        "newer.db": "which this Grantwell does not know",
        "strange.db": "is no database of Grantwell",
        "none.db": "is not there",
    }.items():
        result = migrated("restore", name, "--yes", code=1)
        assert sentence in result.stderr, name
        assert len(result.stderr.splitlines()) == 1

    assert rows(migrated.folder / "grantwell.db") == before
    assert {path.name for path in migrated.folder.iterdir()} <= files | {"grantwell.db-wal", "grantwell.db-shm"}


@requirement("F-034")
def test_an_initial_access_token_that_was_spent_after_the_backup_is_not_good_once_more(migrated: Terminal) -> None:
    migrated("clients", "initial-access-token")
    migrated("backup", "before.db")
    count = "SELECT count(*) FROM oauth_initial_access_tokens"
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        assert database.execute(count).fetchone() == (1,)
        database.execute("DELETE FROM oauth_initial_access_tokens")

    assert migrated.json("restore", "before.db", "--yes", "--keep-grants")["ended"]["initial_access_tokens"] == 1

    with closing(sqlite3.connect("grantwell.db")) as database:
        assert database.execute(count).fetchone() == (0,)


def test_a_restore_is_asked_for_and_may_be_tried_dry(migrated: Terminal) -> None:
    migrated("backup", "empty.db")
    migrated.client()
    before = rows(migrated.folder / "grantwell.db")

    assert migrated.json("restore", "empty.db", "--dry-run") == {
        "restored": False,
        "ended": {"grants": 0, "access_tokens": 0, "initial_access_tokens": 0, "sessions": 0},
    }
    migrated("restore", "empty.db", stdin="y\n", code=2)
    assert rows(migrated.folder / "grantwell.db") == before

    migrated("restore", "empty.db", "--yes")
    assert migrated.json("clients", "list") == []


@requirement("D-34")
def test_a_restore_that_is_killed_leaves_the_one_database_or_the_other(migrated: Terminal) -> None:
    database, old, new = (migrated.folder / name for name in ("grantwell.db", "old.db", "new.db"))
    for path, letter in ((old, "o"), (new, "n")):
        upgrade(f"sqlite+aiosqlite:///{path}")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE filling (x TEXT)")
            connection.executemany("INSERT INTO filling VALUES (?)", [(letter * 4000,)] * 4000)
    outcomes = set()
    began = time.monotonic()
    subprocess.run([*COMMAND, "restore", "old.db", "--yes"], env=environment(), stdout=subprocess.DEVNULL, check=True)
    whole = time.monotonic() - began
    for share in (0.5, 0.7, 0.8, 0.85, 0.9, 0.95):
        migrated("restore", "old.db", "--yes")
        command = [*COMMAND, "restore", "new.db", "--yes"]
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
        try:
            process.wait(whole * share)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()

        assert_whole(database)
        with closing(sqlite3.connect(database)) as connection:
            letters = connection.execute("SELECT substr(x, 1, 1), count(*) FROM filling GROUP BY 1").fetchall()
        assert letters in ([("o", 4000)], [("n", 4000)])
        outcomes.add(process.returncode)
    assert -signal.SIGKILL in outcomes
