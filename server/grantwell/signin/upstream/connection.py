"""One upstream over HTTP, as its client: no redirects, no proxies of the environment, and bounds on every answer."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from urllib.parse import quote

import httpx2
from authlib.integrations.base_client import OAuthError as UpstreamError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from .failures import TRANSIENT_CODES, UpstreamRefusal, UpstreamUnavailable

DEADLINE_SECONDS = 8.0
"""How long a question may take, all told: less than a `token_exchange_callback` has."""
MAX_ANSWER_BYTES = 262_144

_CONNECT_SECONDS = 3.0
_SILENCE_SECONDS = 5.0
_MOST_AT_ONCE = 32

R = TypeVar("R")


class Connection:
    """Questions to one upstream. Raises UpstreamUnavailable for every answer that is not what was asked for."""

    def __init__(self, *, client_id: str, client_secret: str | None) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._tls = ssl.create_default_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)

    async def get(self, url: str, *, access_token: str | None = None) -> dict[str, Any]:
        """The JSON object at a URL, with an access token of the upstream if it wants one.

        Raises UpstreamRefusal for 401, 403 and 404, with the status as its code.
        """

        async def ask(client: AsyncOAuth2Client) -> dict[str, Any]:
            headers = {"Accept": "application/json"}
            if access_token is not None:
                headers["Authorization"] = f"Bearer {access_token}"
            answer = await client.request("GET", url, headers=headers, withhold_token=True)
            if answer.status_code in (401, 403, 404):
                raise UpstreamRefusal(str(answer.status_code), "a document was refused")
            if answer.status_code != 200:
                raise UpstreamUnavailable(f"an answer has the status {answer.status_code}")
            return _object(answer.json())

        return await self._answered(ask, "none")

    async def exchange_code(
        self, endpoint: str, *, code: str, redirect_uri: str, verifier: str, auth_method: str
    ) -> dict[str, Any]:
        """What a code is answered with (RFC 6749 section 4.1.4). Raises UpstreamRefusal for an error answer."""

        async def ask(client: AsyncOAuth2Client) -> dict[str, Any]:
            return _object(
                await client.fetch_token(
                    endpoint,
                    grant_type="authorization_code",
                    code=code,
                    redirect_uri=redirect_uri,
                    code_verifier=verifier,
                )
            )

        return await self._answered(ask, auth_method)

    async def refresh(self, endpoint: str, *, refresh_token: str, auth_method: str) -> dict[str, Any]:
        """What a refresh token is answered with (RFC 6749 section 6). Raises UpstreamRefusal for an error answer."""

        async def ask(client: AsyncOAuth2Client) -> dict[str, Any]:
            return _object(await client.refresh_token(endpoint, refresh_token=refresh_token))

        return await self._answered(ask, auth_method)

    async def _answered(self, ask: Callable[[AsyncOAuth2Client], Awaitable[R]], auth_method: str) -> R:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._turns, self._client(auth_method) as client:
                return await ask(client)
        except UpstreamError as error:
            if str(error.error) in TRANSIENT_CODES:
                raise UpstreamUnavailable(f"the token endpoint answered {error.error}") from None
            raise UpstreamRefusal(str(error.error), "the token endpoint refused") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError, RecursionError) as error:
            # Their messages quote answers and addresses.
            raise UpstreamUnavailable(f"there was no usable answer: {type(error).__name__}") from None

    def _client(self, auth_method: str) -> AsyncOAuth2Client:
        # A client for each question: no cookie, no connection and no token stays for the next one.
        client = AsyncOAuth2Client(
            client_id=self._client_id,
            client_secret=self._client_secret,
            token_endpoint_auth_method=auth_method,
            transport=_Bounded(httpx2.AsyncHTTPTransport(verify=self._tls, trust_env=False)),
            timeout=httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
            headers={"User-Agent": "grantwell", "Accept-Encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
        )
        client.register_client_auth_method(("client_secret_basic", _basic))
        client.register_compliance_hook("access_token_response", _whole)
        client.register_compliance_hook("refresh_token_response", _whole)
        return client


def _whole(answer: httpx2.Response) -> httpx2.Response:
    """The answer of a token endpoint, if it is one: 200, or an error of RFC 6749 section 5.2."""
    if answer.status_code not in (200, 400, 401, 403):
        raise UpstreamUnavailable(f"the token endpoint answered with the status {answer.status_code}")
    if answer.status_code != 200 and "error" not in _object(answer.json()):
        raise UpstreamUnavailable(f"the token endpoint answered {answer.status_code} without an error code")
    return answer


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UpstreamUnavailable("an answer is not a JSON object")
    return dict(value)


def _basic(
    client: AsyncOAuth2Client, method: str, uri: str, headers: MutableMapping[str, str], body: Any
) -> tuple[str, Mapping[str, str], Any]:
    """Basic authentication as RFC 6749 section 2.3.1 wants it: both parts are form-encoded first."""
    pair = f"{quote(client.client_id, safe='')}:{quote(client.client_secret or '', safe='')}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body


class _Bounded(httpx2.AsyncBaseTransport):
    """A transport that takes nothing compressed, and no more than MAX_ANSWER_BYTES."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._inner.__aexit__(exc_type, exc_value, traceback)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it, and hand its answer on."""
        answer = await self._inner.handle_async_request(request)
        stream = cast("httpx2.AsyncByteStream", answer.stream)
        if answer.headers.get("content-encoding", "identity") != "identity":
            await stream.aclose()
            raise UpstreamUnavailable("an answer is compressed")
        return httpx2.Response(
            answer.status_code,
            headers=answer.headers,
            stream=_BoundedBody(stream),
            extensions=answer.extensions,
        )


class _BoundedBody(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_ANSWER_BYTES
        async for part in self._inner:
            left -= len(part)
            if left < 0:
                raise UpstreamUnavailable(f"an answer is larger than {MAX_ANSWER_BYTES} bytes")
            yield part

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._inner.aclose()
