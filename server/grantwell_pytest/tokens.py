"""Real tokens for tests: consent given in code, everything else by the provider's own endpoints."""

from __future__ import annotations

import asyncio
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from starlette.requests import Request

from grantwell import OAuthProvider, SecretKey, Store
from grantwell.testing import FrozenClock
from grantwell_storage import MemoryStore

T = TypeVar("T")

Tokens = dict[str, Any]
"""An answer of the token endpoint (RFC 6749 section 5.1), and the `client_id` that it is for."""

_REDIRECT_URI = "http://127.0.0.1/grantwell-pytest"


class Portal(Protocol):
    """A way to an event loop that runs elsewhere: the `portal` of Starlette's `TestClient`, or another of anyio's."""

    def call(self, func: Callable[..., Awaitable[T]], *args: object) -> T:
        """Run a coroutine function there, and wait for its result."""


class AsyncOAuth:
    """The parts for a provider under test, and tokens of the provider.

    `parts` are `store` (in memory), `secret_key` and `clock`, to be given to `OAuthProvider` as they are; a provider
    with a store of its own will do as well. The clock begins with the present time and stands still until it is moved.
    """

    def __init__(self) -> None:
        self.store: Store = MemoryStore()
        self.secret_key = SecretKey(secrets.token_bytes(32))
        self._clock = FrozenClock(float(int(time.time())))
        self._provider: OAuthProvider | None = None
        self._client_ids: dict[OAuthProvider, str] = {}

    @property
    def parts(self) -> dict[str, Any]:
        """What an application passes on to its provider: `store`, `secret_key` and `clock`."""
        return {"store": self.store, "secret_key": self.secret_key, "clock": self._clock}

    @property
    def clock(self) -> FrozenClock:
        """The clock of the provider, to be moved. Raises LookupError if the provider has another one."""
        if self._provider is not None and self._provider.settings.clock is not self._clock:
            raise LookupError("the provider has a clock of its own: make it with clock=oauth.parts['clock']")
        return self._clock

    @property
    def provider(self) -> OAuthProvider:
        """The provider under test. Raises LookupError before `use`."""
        if self._provider is None:
            raise LookupError("no provider is known yet: oauth.use(provider) names the one under test")
        return self._provider

    def use(self, provider: OAuthProvider) -> OAuthProvider:
        """Take tokens of this provider from now on; returns it."""
        self._provider = provider
        return provider

    async def tokens(
        self, user_id: str, scopes: Iterable[str] | None = None, *, resource: str | None = None, props: Any = None
    ) -> Tokens:
        """Let a user allow a client these scopes (None: the default ones); returns the answer of the token endpoint.

        `resource` is an identifier, or the prefix of `api_handlers` (None: the default ones). The token exchange
        callback runs as for any client. Raises AuthorizationError for what a client could not ask for.
        """
        helpers, verifier = self.provider.helpers, secrets.token_urlsafe(32)
        client_id = await self._client_id()
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": _REDIRECT_URI,
            "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        if scopes is not None:
            query["scope"] = " ".join(scopes)
        if resource is not None:
            query["resource"] = self._identifier(resource)
        asked = await helpers.parse_authorization_request(_get(query))
        location = await helpers.complete_authorization(asked, user_id=user_id, props=props)
        code = parse_qs(urlsplit(location).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        return await self._answer(form | {"client_id": client_id}, self.provider)

    async def token(
        self, user_id: str, scopes: Iterable[str] | None = None, *, resource: str | None = None, props: Any = None
    ) -> str:
        """An access token of a user; see `tokens`."""
        answer = await self.tokens(user_id, scopes, resource=resource, props=props)
        return str(answer["access_token"])

    async def headers(
        self, user_id: str, scopes: Iterable[str] | None = None, *, resource: str | None = None, props: Any = None
    ) -> dict[str, str]:
        """The headers of a call that a user's client makes; see `tokens`."""
        return {"Authorization": f"Bearer {await self.token(user_id, scopes, resource=resource, props=props)}"}

    async def refresh(self, tokens: Tokens, *, at: OAuthProvider | None = None) -> Tokens:
        """Refresh, at the provider or at another one with the same store: the next worker, so to speak.

        Raises `httpx.HTTPStatusError` where the token endpoint refuses.
        """
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        return await self._answer(form | {"client_id": tokens["client_id"]}, at or self.provider)

    async def revoke(self, token: str) -> None:
        """End the grant of an access or refresh token that was issued here, as its client does (RFC 7009)."""
        form = {"token": token, "client_id": await self._client_id()}
        await self._post(self.provider.settings.revocation_endpoint, form, self.provider)

    async def _client_id(self) -> str:
        """The client that the tokens are issued to; every provider gets its own."""
        if self.provider not in self._client_ids:
            metadata = {
                "client_name": "pytest",
                "redirect_uris": [_REDIRECT_URI],
                "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code", "refresh_token"],
            }
            client, _ = await self.provider.helpers.create_client(metadata)
            self._client_ids[self.provider] = client.client_id
        return self._client_ids[self.provider]

    def _identifier(self, resource: str) -> str:
        of_prefix = {known.prefix: known.identifier for known in self.provider.settings.resources}
        return of_prefix.get(resource, resource)

    async def _answer(self, form: dict[str, str], provider: OAuthProvider) -> Tokens:
        answer = await self._post(provider.settings.token_endpoint, form, provider)
        return {**answer.json(), "client_id": form["client_id"]}

    async def _post(self, endpoint: str, form: dict[str, str], provider: OAuthProvider) -> httpx.Response:
        settings = provider.settings
        transport = httpx.ASGITransport(app=provider, root_path=settings.issuer_url.path)
        async with httpx.AsyncClient(transport=transport) as http:
            answer = await http.post(settings.url(endpoint), data=form)
        return answer.raise_for_status()


class OAuth:
    """`AsyncOAuth` for tests without an event loop: the same methods, and nothing to await."""

    def __init__(self, asynchronous: AsyncOAuth) -> None:
        self._asynchronous = asynchronous
        self._portal: Portal | None = None

    @property
    def parts(self) -> dict[str, Any]:
        """See `AsyncOAuth.parts`."""
        return self._asynchronous.parts

    @property
    def clock(self) -> FrozenClock:
        """See `AsyncOAuth.clock`."""
        return self._asynchronous.clock

    @property
    def provider(self) -> OAuthProvider:
        """See `AsyncOAuth.provider`."""
        return self._asynchronous.provider

    def use(self, provider: OAuthProvider, *, portal: Portal | None = None) -> OAuthProvider:
        """Take tokens of this provider from now on; returns it.

        A store that belongs to an event loop, as `SQLStore` does, needs the `portal` to the one that the provider runs
        on: `with TestClient(app) as client: oauth.use(app, portal=client.portal)`.
        """
        self._portal = portal
        return self._asynchronous.use(provider)

    def tokens(
        self, user_id: str, scopes: Iterable[str] | None = None, *, resource: str | None = None, props: Any = None
    ) -> Tokens:
        """See `AsyncOAuth.tokens`."""
        return self._run(lambda: self._asynchronous.tokens(user_id, scopes, resource=resource, props=props))

    def token(
        self, user_id: str, scopes: Iterable[str] | None = None, *, resource: str | None = None, props: Any = None
    ) -> str:
        """See `AsyncOAuth.token`."""
        return self._run(lambda: self._asynchronous.token(user_id, scopes, resource=resource, props=props))

    def headers(
        self, user_id: str, scopes: Iterable[str] | None = None, *, resource: str | None = None, props: Any = None
    ) -> dict[str, str]:
        """See `AsyncOAuth.headers`."""
        return self._run(lambda: self._asynchronous.headers(user_id, scopes, resource=resource, props=props))

    def refresh(self, tokens: Tokens, *, at: OAuthProvider | None = None) -> Tokens:
        """See `AsyncOAuth.refresh`."""
        return self._run(lambda: self._asynchronous.refresh(tokens, at=at))

    def revoke(self, token: str) -> None:
        """See `AsyncOAuth.revoke`."""
        return self._run(lambda: self._asynchronous.revoke(token))

    def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        if self._portal is not None:
            return self._portal.call(work)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(_awaited(work))
        raise RuntimeError("an async test takes the fixture async_oauth, and awaits it")


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


def _get(query: dict[str, str]) -> Request:
    sent = urlencode(query).encode()
    return Request({"type": "http", "method": "GET", "query_string": sent, "headers": [], "client": None})
