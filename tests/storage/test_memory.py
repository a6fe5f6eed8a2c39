"""What is particular to the memory store, and the clock that goes with it in tests."""

from __future__ import annotations

import pytest

from grantwell.testing import FrozenClock
from grantwell.testing.samples import CLIENT, NOW, client
from grantwell_storage import MemoryStore

pytestmark = pytest.mark.anyio


async def test_a_client_is_added_once() -> None:
    store = MemoryStore()
    await store.add_client(client())
    with pytest.raises(ValueError, match="client of this id"):
        await store.add_client(client(name="Another"))
    assert await store.get_client(CLIENT) == client()


async def test_two_stores_share_nothing() -> None:
    store = MemoryStore()
    await store.add_client(client())
    assert await MemoryStore().get_client(CLIENT) is None


def test_a_frozen_clock_moves_when_it_is_told_and_at_no_other_time() -> None:
    clock = FrozenClock()
    assert (clock(), clock()) == (float(NOW), float(NOW))
    clock.advance(1.5)
    clock.advance(-3)
    assert clock() == NOW - 1.5
    assert FrozenClock(7)() == 7.0
