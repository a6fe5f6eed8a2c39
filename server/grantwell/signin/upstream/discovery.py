"""What an OIDC issuer says of itself, and its keys (OpenID Connect Discovery 1.0): remembered, and fetched anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ...config import SIGNATURE_ALGORITHMS
from ...crypto import KeySet, UnacceptableKeys
from .addresses import is_usable
from .connection import Connection
from .failures import UpstreamRefusal, UpstreamUnavailable

KEPT_SECONDS = 3600
"""How old a document may be before it is asked for again."""
STALE_SECONDS = 86_400
"""How old it may be while the issuer does not answer."""
RETRY_SECONDS = 5
RENEW_SECONDS = 30
"""How often keys are asked for again at most, however many tokens name a key that never was."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The members of a discovery document that are used here. `algorithms` are those both sides know."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: tuple[str, ...]
    auth_methods: tuple[str, ...]
    says_issuer: bool


class Discovery:
    """The metadata and the keys of one issuer. `now` is in seconds; both raise UpstreamUnavailable."""

    def __init__(self, issuer: str, connection: Connection) -> None:
        self._issuer = issuer
        self._connection = connection
        self._metadata = _Remembered(self._load_metadata)
        self._keys = _Remembered(self._load_keys)

    async def metadata(self, now: int) -> Metadata:
        """What the issuer says of itself."""
        return await self._metadata.get(now)

    async def keys(self, now: int, *, anew: bool = False) -> KeySet:
        """The keys it signs with; `anew` if one was named that is not among those remembered."""
        return await self._keys.get(now, anew=anew)

    async def _load_metadata(self, now: int) -> Metadata:
        document = await self._fetched(f"{self._issuer.removesuffix('/')}/.well-known/openid-configuration")
        # Section 4.3: exactly the same, or the document is somebody else's.
        if document.get("issuer") != self._issuer:
            raise UpstreamUnavailable("the discovery document is that of another issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_usable(document.get(name), query=True):
                raise UpstreamUnavailable(f"the discovery document has no usable {name}")
        userinfo = document.get("userinfo_endpoint")
        offered = _strings(document.get("id_token_signing_alg_values_supported"))
        return Metadata(
            authorization_endpoint=document["authorization_endpoint"],
            token_endpoint=document["token_endpoint"],
            jwks_uri=document["jwks_uri"],
            userinfo_endpoint=userinfo if is_usable(userinfo, query=True) else None,
            algorithms=tuple(name for name in SIGNATURE_ALGORITHMS if name in offered),
            # Section 3: this is what the absence means.
            auth_methods=_strings(document.get("token_endpoint_auth_methods_supported")) or ("client_secret_basic",),
            says_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        )

    async def _load_keys(self, now: int) -> KeySet:
        try:
            return KeySet.parse(await self._fetched((await self.metadata(now)).jwks_uri))
        except UnacceptableKeys as error:
            raise UpstreamUnavailable(f"the keys cannot be used: {error}") from error

    async def _fetched(self, url: str) -> dict[str, Any]:
        try:
            return await self._connection.get(url)
        except UpstreamRefusal as error:
            raise UpstreamUnavailable(f"a document was answered with {error.code}") from error


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


class _Remembered(Generic[T]):
    """One document, asked for by one caller at a time; while it cannot be had, the one before serves on."""

    def __init__(self, load: Callable[[int], Awaitable[T]]) -> None:
        self._load = load
        self._turn = asyncio.Lock()
        self._value: T | None = None
        self._loaded_at = 0
        self._tried_at: int | None = None
        self._failure = UpstreamUnavailable("the document was not fetched yet")

    async def get(self, now: int, *, anew: bool = False) -> T:
        async with self._turn:
            if (anew or not self._is_younger(now, KEPT_SECONDS)) and self._may_try(now):
                self._tried_at = now
                try:
                    self._value = await self._load(now)
                    self._loaded_at = now
                except UpstreamUnavailable as error:
                    self._failure = error
            if self._value is None or not self._is_younger(now, STALE_SECONDS):
                raise UpstreamUnavailable(self._failure.reason)
            return self._value

    def _is_younger(self, now: int, seconds: int) -> bool:
        # A clock that was set back must not make a document live longer.
        return self._value is not None and 0 <= now - self._loaded_at < seconds

    def _may_try(self, now: int) -> bool:
        pause = RETRY_SECONDS if self._value is None else RENEW_SECONDS
        return self._tried_at is None or not 0 <= now - self._tried_at < pause
