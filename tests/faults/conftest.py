"""What tests of faults are given: a store of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from grantwell_storage import MemoryStore, SQLStore
from tests.wire.world import STORES, new_store


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryStore | SQLStore:
    """An empty store, in turn of each kind."""
    return new_store(request.param, tmp_path)
