"""What every test of the resource server is given: one that is running, and as if it had just been started."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.resource.place import Place, running_place


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Place]:
    """A resource server with an issuer of its own, in front of an application that says who calls."""
    async with running_place() as place:
        yield place


@pytest.fixture
def place(running: Place) -> Place:
    """The one of the module, with all forgotten that a test did to it."""
    running.issuer.forget()
    running.app.ran = 0
    return running
