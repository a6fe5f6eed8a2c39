"""The demonstration, served over a real socket, and the person who uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.cli.processes import DEMO_PASSWORD, Demo, demo_server
from tests.interop.person import Person


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One server for all tests of this folder."""
    with demo_server(tmp_path_factory.mktemp("demo")) as server:
        yield server


@pytest.fixture
async def person() -> AsyncIterator[Person]:
    """The user of the demonstration, with a new browser."""
    async with Person("demo", DEMO_PASSWORD) as somebody:
        yield somebody
