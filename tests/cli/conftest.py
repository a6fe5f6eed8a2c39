"""The command line in an empty folder, as somebody meets it who has just installed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in an empty folder, without settings in its environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIG", "DATABASE_URL", "SECRET_KEY_FILE", "PASSWORD", "DEMO_PASSWORD"):
        monkeypatch.delenv(f"GRANTWELL_{name}", raising=False)
    return Terminal(tmp_path)


@pytest.fixture
def migrated(terminal: Terminal) -> Terminal:
    """The same, after `grantwell migrate`."""
    terminal("migrate")
    return terminal
