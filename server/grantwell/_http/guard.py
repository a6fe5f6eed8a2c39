"""The guard of the protected prefixes: the tokens of their calls are found in the server's own store."""

from __future__ import annotations

from collections.abc import Awaitable

from .._flows import bearer
from .._flows.context import Context
from ..config import ProtectedResource
from ..errors import OAuthError
from ..records import Principal
from .answers import reviewed
from .bearer_guard import BearerGuard


class Guard(BearerGuard):
    """The guard of a server that issues the tokens itself."""

    def __init__(self, context: Context) -> None:
        super().__init__(_IssuedTokens(context))


class _IssuedTokens:
    """The tokens of this server, and those that `resolve_external_token` knows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.now = context.now

    def verify(self, resource: ProtectedResource, credential: str, now: int) -> Awaitable[Principal]:
        return bearer.verify(self._context, resource, credential, now)

    def reviewed(self, error: OAuthError, resource: ProtectedResource) -> Awaitable[OAuthError]:
        return reviewed(self._context, error, resource.prefix or resource.identifier)
