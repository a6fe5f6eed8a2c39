"""A migrated SQLite file, and a store on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from grantwell_migrations import upgrade
from grantwell_storage import SQLStore


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The file of a migrated database."""
    path = tmp_path / "oauth.db"
    upgrade(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
def url(database: Path) -> str:
    """The URL of a migrated database."""
    return f"sqlite+aiosqlite:///{database}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[SQLStore]:
    """An open store on a migrated database."""
    store = SQLStore(url)
    await store.open()
    yield store
    await store.close()
