"""Databases of an older schema, for the tests."""

from __future__ import annotations

from pathlib import Path

from alembic import command

import grantwell_migrations
from grantwell_storage import sqlite


def upgrade_to(path: Path, revision: str) -> None:
    """Bring a file, which may be missing, to an older schema."""
    path.touch(mode=0o600)
    engine = sqlite.plain_engine(path, read_only=False)
    with engine.begin() as connection:
        config = grantwell_migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    sqlite.keep_write_ahead_log(path, 5)
