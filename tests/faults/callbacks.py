"""A callback that does what a test tells it to, and requests that reach it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

from grantwell import TokenExchange, TokenExchangeResult
from tests.wire.world import World, parsed


@dataclass
class Scripted:
    """A callback that does what the test says next: returns it, raises it, or calls it with the event."""

    then: Any = None
    events: list[TokenExchange] = field(default_factory=list)

    async def __call__(self, event: TokenExchange) -> TokenExchangeResult | None:
        self.events.append(event)
        then = await self.then(event) if callable(self.then) else self.then
        if isinstance(then, BaseException):
            raise then
        result: TokenExchangeResult | None = then
        return result


@dataclass
class Asked:
    """A token request that reaches the callback, to be sent as often as the test likes."""

    world: World
    client: dict[str, Any]
    secret: str
    grant_type: str

    async def __call__(self, **changes: Any) -> httpx.Response:
        if self.grant_type == "refresh_token":
            return await self.world.refresh(self.client, self.secret, **changes)
        return await self.world.exchange(self.client, self.secret, **changes)


async def asked(world: World, grant_type: str, script: Scripted, **changes: Any) -> Asked:
    """A request of this grant type that was not sent yet; the callback has nothing to say before it."""
    client = await world.register()
    code = await world.code(client, **changes)
    if grant_type == "authorization_code":
        return Asked(world, client, code, grant_type)
    then, script.then = script.then, None
    tokens = parsed(await world.exchange(client, code))
    script.then = then
    script.events.clear()
    return Asked(world, client, tokens.refresh, grant_type)
