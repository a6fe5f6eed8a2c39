"""What the tests of sequences and floods are given: a server of their own, behind each HTTP parser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.threats.arena import Arena, running_arena
from tests.wire.world import PARSERS


@pytest.fixture(params=PARSERS)
async def arena(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Arena]:
    """A server with the default settings."""
    async with running_arena(tmp_path, request.param) as arena:
        yield arena
        arena.check_files()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Arena]:
    """The same behind one of the parsers, for what does not depend on them."""
    async with running_arena(tmp_path, PARSERS[-1]) as arena:
        yield arena
        arena.check_files()
