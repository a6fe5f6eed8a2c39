"""What the tests of the pages are given: a place over each kind of store, with a user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from grantwell_storage import MemoryStore, SQLStore
from tests.signin.browser import Browser, Place, running_place
from tests.wire.world import STORES, new_store


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryStore | SQLStore:
    """An empty store, in turn of each kind."""
    return new_store(request.param, tmp_path)


@pytest.fixture
async def place(store: MemoryStore | SQLStore) -> AsyncIterator[Place]:
    """A place with the default settings."""
    async with running_place(store) as place:
        yield place


@pytest.fixture
def browser(place: Place) -> Browser:
    """A browser without cookies."""
    return place.browser()
