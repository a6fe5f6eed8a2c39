"""Requests from other addresses than the test's own."""

from __future__ import annotations

from typing import Any

import httpx

from tests.wire.world import World


async def sent_from(world: World, address: str, method: str, path: str, **options: Any) -> httpx.Response:
    """The answer to a request whose connection comes from this address."""
    transport = httpx.ASGITransport(app=world.provider, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url=world.provider.settings.issuer) as http:
        return await http.request(method, path, **options)
