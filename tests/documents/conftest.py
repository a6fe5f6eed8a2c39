"""Worlds whose server fetches from a small internet on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.outbound.conftest import authority, internet
from tests.outbound.internet import Internet
from tests.wire.world import STORES, World, new_store, running_world

__all__ = ["authority", "internet"]


@asynccontextmanager
async def connected_world(internet: Internet, store: Any, **options: Any) -> AsyncIterator[World]:
    """A world whose server fetches from this internet."""
    async with running_world(store, **options) as world:
        context = world.provider._context
        settings = context.settings
        fetcher = internet.fetcher(
            allowed_networks=settings.cimd_allowed_networks,
            refused_origins=frozenset({settings.issuer_url.origin}),
        )
        # The context is frozen for everybody but the tests, which have no other internet to offer.
        object.__setattr__(context, "fetcher", fetcher)
        assert dataclasses.is_dataclass(context)
        yield world


@pytest.fixture(params=STORES)
async def world(request: pytest.FixtureRequest, tmp_path: Path, internet: Internet) -> AsyncIterator[World]:
    """A connected world over each kind of store."""
    async with connected_world(internet, new_store(request.param, tmp_path)) as world:
        yield world
