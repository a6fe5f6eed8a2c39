"""Both stores keep the contract of `grantwell.store`."""

from __future__ import annotations

import pytest

from grantwell.testing import StoreContract
from grantwell_storage import MemoryStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestSQLite(StoreContract):
    """On the fixture `store` of this folder."""
