"""Faults: callers that leave, processes that are killed, disks that are full."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from grantwell.errors import StoreUnavailable
from grantwell.store import ClientQuery, GrantQuery, Use
from grantwell.testing.samples import (
    CLIENT,
    NOW,
    client,
    consent,
    digest,
    given_consent,
    given_exchanged,
    live,
    redemption,
    rotation,
    sealed,
)
from grantwell_migrations import upgrade
from grantwell_storage import SQLStore

from .processes import racers

pytestmark = [pytest.mark.anyio, pytest.mark.system]

MARGIN_SECONDS = 5.0


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SQLStore]:
    """A second store on the same database."""
    store = SQLStore(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def assert_sound(path: Path) -> None:
    """The file is whole, every foreign key has its row, and nobody has left its lock taken."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    finally:
        connection.close()


async def assert_whole(store: SQLStore, grant_id: str, *, rotated: bool | None = None) -> None:
    """A grant is at one generation in all its tables: no half of a transition is there."""
    found = await store.get_refreshable(grant_id)
    if found is None:
        return
    generation = found.refresh.generation
    code = await store.get_code(grant_id, digest(f"code of {grant_id}"))
    assert code is not None
    assert (code.code.redeemed_at is not None) == (code.code.wrapped_key == b"") == (generation > 0)
    assert (await live(store, "a1", grant_id) is not None) == (generation > 0)
    assert (await live(store, "a2", grant_id) is not None) == (generation > 1)
    assert (found.refresh.current is not None) == (generation > 0)
    assert (code.props or found.props[0]) == sealed(1)
    if rotated is not None:
        assert (generation > 1) is rotated


Call = Callable[[SQLStore, str], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "consent": lambda store, name: store.add_grant(consent(f"{name} again")),
    "exchange": lambda store, name: store.redeem_code(redemption(f"{name} pending", replaces=True, keep_newest=3)),
    "refresh": lambda store, name: store.rotate(rotation(1, name)),
    "use": lambda store, name: store.record_use(Use(grant_ids=(name,), client_ids=(CLIENT,), now=NOW)),
    "read": lambda store, name: store.get_refreshable(name),
    "list": lambda store, name: store.list_grants(GrantQuery(now=NOW)),
    "page": lambda store, name: store.list_clients(ClientQuery()),
}


@pytest.mark.requirement("F-038", "F-081", "D-06")
@pytest.mark.parametrize("kind", CALLS)
async def test_a_caller_that_leaves_at_any_moment_leaves_nothing_open_and_nothing_half_done(
    store: SQLStore, database: Path, kind: str
) -> None:
    for moment in range(0, 90, 2 if kind == "refresh" else 5):
        name = f"grant-{moment}"
        await given_exchanged(store, consent(name, user_id=name))
        await given_consent(store, consent(f"{name} pending", user_id=name))
        task = asyncio.ensure_future(CALLS[kind](store, name))
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(2):
            await store.record_use(Use(grant_ids=(name,), client_ids=(), now=NOW))
        if moment and kind == "refresh":
            await assert_whole(store, name, rotated=True)
        await assert_whole(store, f"{name} pending")
        await assert_whole(store, f"{name} again")
    session = store._database._session
    assert session is not None
    assert not session.running
    for engine in (session.writer, session.readers):
        pool: Any = engine.sync_engine.pool
        assert pool.checkedout() == 0
    assert_sound(database)


@pytest.mark.requirement("F-038")
async def test_a_server_that_shuts_down_in_the_midst_of_writes_leaves_nothing_open(url: str, database: Path) -> None:
    for moment in range(0, 60, 3):
        name = f"grant-{moment}"
        async with opened(url) as store:
            await given_exchanged(store, consent(name))
            before = asyncio.all_tasks()
            write = asyncio.create_task(store.rotate(rotation(1, name)))
            for _ in range(moment):
                await asyncio.sleep(0)
            # The end of an event loop cancels every task, those of the store among them.
            ended = asyncio.all_tasks() - before | {write}
            for task in ended:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)
        async with opened(url) as store:
            await assert_whole(store, name)
    assert_sound(database)


@pytest.mark.requirement("F-016", "F-018", "D-06")
async def test_a_process_that_is_killed_loses_nothing_acknowledged_and_tears_nothing(url: str, database: Path) -> None:
    async with opened(url) as store:
        await store.add_client(client())
    for number, enough in enumerate((1, 7, 20, 33, 50)):
        with racers(url, 1) as (racer,):
            racer.ask(job="stream", prefix=f"round-{number}")
            acknowledged = [racer.answer() for _ in range(enough)]
            racer.process.kill()
            acknowledged += racer.said()
        assert_sound(database)
        async with opened(url) as store:
            for name in acknowledged:
                await assert_whole(store, name, rotated=True)
            page = await store.list_grants(GrantQuery(now=NOW, limit=1000))
            assert page.cursor is None
            for grant in page.items:
                await assert_whole(store, grant.grant_id)
            assert len(page.items) >= len(acknowledged)


async def fill(store: SQLStore) -> int:
    """Store grants until the disk is full; how many were acknowledged."""
    for number in range(5000):
        try:
            await store.add_grant(consent(f"fill-{number}"))
        except StoreUnavailable:
            return number
    raise AssertionError("the disk is never full")


async def assert_reads_go_on(store: SQLStore) -> None:
    """What was stored before is found, by every way to read."""
    assert await live(store, "a1") is not None
    assert await store.get_client(CLIENT) == client()
    assert (await store.list_grants(GrantQuery(now=NOW, limit=3))).items


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 2 MiB; skips the test where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        refused = subprocess.run(mount, check=False, capture_output=True, text=True).returncode != 0
    except FileNotFoundError:
        refused = True
    if refused:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.requirement("F-026", "F-029")
async def test_a_full_disk_stops_writes_and_no_read_and_is_left_without_a_restart(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small"):
        database = tmp_path / "small" / "oauth.db"
        url = f"sqlite+aiosqlite:///{database}"
        upgrade(url)
        async with opened(url) as store:
            await given_exchanged(store)
            stored = await fill(store)
            assert stored > 20
            await assert_reads_go_on(store)
            with pytest.raises(StoreUnavailable):
                await store.add_grant(consent("late"))
            subprocess.run(["mount", "-o", "remount,size=8m", str(database.parent)], check=True)  # noqa: ASYNC221
            assert await store.add_grant(consent("late")) == "added"
            subprocess.run(["mount", "-o", "remount,ro", str(database.parent)], check=False)  # noqa: ASYNC221
            await assert_reads_go_on(store)
            subprocess.run(["mount", "-o", "remount,rw", str(database.parent)], check=False)  # noqa: ASYNC221
            for number in range(stored):
                await assert_whole(store, f"fill-{number}")
        assert_sound(database)


@pytest.mark.requirement("F-026", "F-028")
async def test_a_file_that_may_not_grow_stops_writes_and_no_read(store: SQLStore, database: Path) -> None:
    await given_exchanged(store)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        stored = await fill(store)
        assert stored > 5
        await assert_reads_go_on(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await store.add_grant(consent("late")) == "added"
    assert await store.get_grant(f"fill-{stored - 1}") is not None
    assert await store.get_grant(f"fill-{stored}") is None
    await store.close()
    assert_sound(database)


async def test_more_writes_than_can_be_waited_for_are_refused_and_the_rest_is_done(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grantwell_storage._sql.database.QUEUE_SECONDS", 0.02)
    await store.add_client(client())
    outcomes = await asyncio.gather(
        *(store.add_grant(consent(f"grant-{number}")) for number in range(200)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
    assert refused
    assert {str(outcome) for outcome in refused} == {"Too many writes are waiting for the database."}
    page = await store.list_grants(GrantQuery(now=NOW, limit=1000))
    assert len(page.items) == outcomes.count("added") == 200 - len(refused)


async def test_the_outcome_of_a_write_that_takes_too_long_is_unknown_and_the_write_goes_on(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grantwell_storage._sql.database.ANSWER_SECONDS", 0.0)
    with pytest.raises(StoreUnavailable, match="outcome is unknown"):
        await store.add_client(client())
    deadline = time.monotonic() + MARGIN_SECONDS
    while await store.get_client(CLIENT) is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_closing_waits_for_the_writes_that_have_begun(url: str) -> None:
    store = SQLStore(url)
    await store.open()
    task = asyncio.create_task(store.add_client(client()))
    await asyncio.sleep(0)
    await store.close()
    await task
    async with opened(url) as again:
        assert await again.get_client(CLIENT) == client()
