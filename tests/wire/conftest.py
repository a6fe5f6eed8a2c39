"""What every wire test is given: a store of each kind, and a world over it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from grantwell_storage import MemoryStore, SQLStore
from tests.wire.world import STORES, World, new_store, running_world


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryStore | SQLStore:
    """An empty store, in turn of each kind."""
    return new_store(request.param, tmp_path)


@pytest.fixture
async def world(store: MemoryStore | SQLStore) -> AsyncIterator[World]:
    """A world with the default settings, over each kind of store."""
    async with running_world(store) as world:
        yield world
