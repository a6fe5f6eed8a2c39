"""What an embedder may decide or observe: plain callables, each given one frozen event.

A hook is an async function, or a sync one, which then runs in a thread. None of them runs inside a transaction.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, TypeVar, cast

from .records import Client

E = TypeVar("E")
R = TypeVar("R")

Hook = Callable[[E], Awaitable[R] | R]


class Unset(Enum):
    """The value of a result member that the hook did not give, where None means something."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchange:
    """A grant is about to be exchanged or refreshed; `token_exchange_callback` may change what is issued.

    `idempotency_key` is the same for every run for one generation of one grant: give it to an upstream server that
    can recognise a repeated request. `props` are those of the grant, a fresh copy. `scopes` are those of the grant,
    `requested_scopes` those of this access token after narrowing, `resources` its audience. `access_token_ttl` is for
    how many seconds it is to live, unless the callback or the end of the grant makes that fewer.
    """

    grant_type: Literal["authorization_code", "refresh_token"]
    client_id: str
    user_id: str | None
    grant_id: str
    generation: int
    idempotency_key: str
    scopes: tuple[str, ...]
    requested_scopes: tuple[str, ...]
    resources: tuple[str, ...]
    props: Any
    metadata: Mapping[str, Any]
    access_token_ttl: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchangeResult:
    """What `token_exchange_callback` wants changed; a member that is not given changes nothing.

    `props` become the grant's (and this access token's, unless `access_token_props` are given, which are for this
    access token alone). `scopes` narrow this access token. `access_token_ttl` and `refresh_token_ttl` are seconds;
    `refresh_token_ttl` None means no end, 0 no refresh token (at the exchange of a code) or the end of the grant with
    this access token (at a refresh). It counts from this exchange.
    """

    props: Any = UNSET
    access_token_props: Any = UNSET
    scopes: tuple[str, ...] | list[str] | None = None
    access_token_ttl: int | None = None
    refresh_token_ttl: int | Unset | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRegistration:
    """A client wants to be known here; `client_registration_callback` raises OAuthError to refuse it, or returns.

    `metadata` is the request body as sent, a `software_statement` included (RFC 7591 section 2.3: verify it there),
    or the metadata document that was fetched (`client.origin` "document"). `client` is what will be stored, without
    its credentials; `headers` those of the request, lower case, none for a document; `address` the sender's IP
    address, or None where it is not known.
    """

    metadata: Mapping[str, Any] = field(repr=False)
    client: Client
    headers: Mapping[str, str] = field(repr=False)
    address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalTokenCheck:
    """A bearer token that this server did not issue; `resolve_external_token` says who it is, or returns None.

    `resource` is the identifier of the protected resource that was called.
    """

    token: str = field(repr=False)
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalToken:
    """Who an external token stands for. `audience` must name the resource that was called.

    `expires_at` is in seconds since 1970 UTC; None where the token names no end.
    """

    user_id: str | None
    props: Any
    audience: tuple[str, ...] | list[str]
    scopes: tuple[str, ...] | list[str] = ()
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossClientExchange:
    """A client wants to exchange a token of another one; `token_exchange_policy` returns True to let it (RFC 8693).

    `client_id` is the caller, `subject_client_id` whose token it is, `grant_id` its grant. `scopes` and `resources`
    are what the new token would be good for: no more than the subject token is.
    """

    client_id: str
    subject_client_id: str
    user_id: str | None
    grant_id: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityAssertion:
    """An identity assertion of a trusted issuer, verified (ID-JAG); `map_claims` says whom it stands for.

    `scopes` are what the token may be good for at most, `resources` where; `claims` are all that the issuer says.
    """

    issuer: str
    subject: str
    client_id: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedIdentity:
    """The user of this server that an identity assertion stands for, and what their grant gets.

    `scopes` narrow what was asked for. `access_token_ttl` is in seconds; None is the server's.
    """

    user_id: str
    props: Any = None
    scopes: tuple[str, ...] | list[str] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    access_token_ttl: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """An identity provider whose assertions are accepted (enterprise-managed authorization).

    `issuer` is its identifier as it stands in `iss`, `jwks_uri` the https URL of its keys. `map_claims` turns an
    assertion into a user of this server, or returns None to refuse it: subjects of two issuers are never the same.
    """

    issuer: str
    jwks_uri: str
    map_claims: Hook[IdentityAssertion, MappedIdentity | None]
    algorithms: tuple[str, ...] = ("RS256", "ES256")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent:
    """An error answer is about to be sent; `on_error` may return an OAuthError to be sent in its place, or None.

    `reason` is the text the client is not told. `endpoint` is the path of the endpoint or the protected prefix.
    `reference` is that of `grantwell explain`; empty for a protected call, of which no refusal is kept.
    """

    endpoint: str
    code: str
    description: str
    status: int
    reason: str
    client_id: str | None
    reference: str = ""


TokenExchangeCallback = Hook[TokenExchange, TokenExchangeResult | None]
ClientRegistrationCallback = Hook[ClientRegistration, None]
ExternalTokenResolver = Hook[ExternalTokenCheck, ExternalToken | None]
TokenExchangePolicy = Hook[CrossClientExchange, bool]


async def call(hook: Hook[E, R], event: E) -> R:
    """Run a hook to its end, a sync one in a thread; raises what it raises."""
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__):
        outcome = hook(event)
    else:
        outcome = await asyncio.to_thread(_run, hook, event)
    if isinstance(outcome, Awaitable):
        return await cast("Awaitable[R]", outcome)
    return outcome


def _run(hook: Hook[E, R], event: E) -> Awaitable[R] | R:
    try:
        return hook(event)
    except StopIteration as error:
        # No future can hold it (before Python 3.12 the wait would never end).
        raise RuntimeError("a hook raised StopIteration") from error
