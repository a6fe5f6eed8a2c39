"""The pytest plugin: real access tokens of your application's own provider in one line, and a clock that you move.

It is found by itself where Grantwell is installed, and imports nothing of it until a test asks for a fixture.
docs/adapters.md has an example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .tokens import AsyncOAuth, OAuth


@pytest.fixture
def oauth(async_oauth: AsyncOAuth) -> OAuth:
    """Tokens for tests without an event loop, of the provider that was given to `oauth.use`."""
    from .tokens import OAuth

    return OAuth(async_oauth)


@pytest.fixture
def async_oauth() -> AsyncOAuth:
    """The same for `async` tests, under anyio's plugin or pytest-asyncio's: its methods are awaited."""
    from .tokens import AsyncOAuth

    return AsyncOAuth()
