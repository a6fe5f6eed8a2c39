"""What the tests of the front are given: each with both of uvicorn's parsers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.front.place import Place, fronted, node
from tests.wire.world import PARSERS


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest) -> str:
    """Each of uvicorn's HTTP parsers in turn."""
    name: str = request.param
    return name


@pytest.fixture
async def place(parser: str) -> AsyncIterator[Place]:
    """A front before the upstream in JavaScript."""
    async with node() as upstream, fronted(upstream.url, parser) as place:
        place.upstream = upstream
        yield place
