"""The token-exchange callback: run once for each generation of a grant, under a lease, outside any transaction."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from dataclasses import dataclass

from .. import hooks
from .._protocol.scopes import parse_scope
from ..config import MAX_TTL
from ..crypto import encode_props
from ..errors import OAuthError, StoreUnavailable
from ..hooks import UNSET, TokenExchange, TokenExchangeCallback, TokenExchangeResult
from ..store import Lease, LeaseRequest, Revocation
from .context import Context

log = logging.getLogger("grantwell")

LEASE_SECONDS = 5
_RENEW_EVERY_SECONDS = 1.5
_FIRST_WAIT_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Changes:
    """What the callback wants changed, checked. Props are JSON bytes; None means that nothing was said."""

    props: bytes | None = None
    access_token_props: bytes | None = None
    scopes: tuple[str, ...] | None = None
    access_token_ttl: int | None = None
    sets_refresh_token_ttl: bool = False
    refresh_token_ttl: int | None = None


class _HookDied(Exception):
    """The callback raised something that would have ended the server."""


async def ask(context: Context, event: TokenExchange) -> Changes | None:
    """What the callback says for this generation; None if the grant moved on meanwhile, by another's hand.

    The lease is kept, so that the transition that follows ends it. Raises OAuthError: the callback's own, or
    `temporarily_unavailable` when it takes too long, or `server_error` when it fails; then nothing was consumed.
    """
    callback = context.hooks.token_exchange
    if callback is None:
        return Changes()
    lease_id = secrets.token_hex(16)
    lease = await _take_lease(context, event, lease_id)
    if lease is None:
        return None
    kept = False
    refused = False
    try:
        changes = _checked(await _run(context, callback, event, lease_id))
        kept = True
        return changes
    except OAuthError as error:
        if error.code == "invalid_grant":
            refused = True
            await _refuse(context, event, lease, error)
        raise
    finally:
        if not kept:
            await context.store.release_lease(event.grant_id, lease_id, refused=refused)


async def _take_lease(context: Context, event: TokenExchange, lease_id: str) -> Lease | None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + context.settings.callback_timeout + LEASE_SECONDS
    wait = _FIRST_WAIT_SECONDS
    while True:
        now = context.now()
        lease = await context.store.take_lease(
            LeaseRequest(
                grant_id=event.grant_id,
                generation=event.generation,
                lease_id=lease_id,
                now=now,
                until=now + LEASE_SECONDS,
            )
        )
        if lease is not None:
            return lease
        found = await context.store.get_refreshable(event.grant_id)
        if found is None or found.grant.revoked_at is not None or found.refresh.generation != event.generation:
            return None
        if loop.time() >= deadline:
            raise OAuthError("temporarily_unavailable", reason="another request holds the callback's lease")
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS)


async def _run(
    context: Context, callback: TokenExchangeCallback, event: TokenExchange, lease_id: str
) -> TokenExchangeResult | None:
    """Run the callback to its end or to the deadline, renewing the lease; a late result is never waited for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + context.settings.callback_timeout
    task = loop.create_task(_contained(callback, event))
    try:
        while True:
            left = deadline - loop.time()
            done, _ = await asyncio.wait({task}, timeout=max(0.0, min(left, _RENEW_EVERY_SECONDS)))
            if done:
                return _result(task)
            if left <= 0:
                raise OAuthError("temporarily_unavailable", reason="token_exchange_callback took too long")
            await _renew_lease(context, event, lease_id)
    except (OAuthError, StoreUnavailable):
        raise
    except Exception as error:
        log.exception("token_exchange_callback failed for grant %r", event.grant_id)
        raise OAuthError("server_error", reason=f"token_exchange_callback raised {type(error).__name__}") from error
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_forget)


async def _contained(callback: TokenExchangeCallback, event: TokenExchange) -> TokenExchangeResult | None:
    try:
        return await hooks.call(callback, event)
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:
        raise _HookDied(type(error).__name__) from error


def _result(task: asyncio.Task[TokenExchangeResult | None]) -> TokenExchangeResult | None:
    if task.cancelled():
        # The callback cancelled itself; to await it would cancel the request, which would never be answered.
        raise _HookDied("CancelledError")
    return task.result()


async def _renew_lease(context: Context, event: TokenExchange, lease_id: str) -> None:
    try:
        await context.store.renew_lease(event.grant_id, lease_id, context.now() + LEASE_SECONDS)
    except StoreUnavailable:
        # Tried again at the next turn. If it lapses, the next holder's run has the same idempotency key.
        log.warning("the callback's lease on grant %r could not be renewed", event.grant_id)


def _forget(task: asyncio.Task[TokenExchangeResult | None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("token_exchange_callback failed after its deadline")


async def _refuse(context: Context, event: TokenExchange, lease: Lease, error: OAuthError) -> None:
    """`invalid_grant` from the callback ends the grant, unless a vanished holder may have spent the upstream token."""
    if lease.lapsed and not lease.refused:
        raise OAuthError(
            "temporarily_unavailable", reason="the callback refused after a holder of its lease vanished"
        ) from error
    now = context.now()
    await context.store.revoke_grant(Revocation(grant_id=event.grant_id, now=now, reason="callback_refused"))
    await context.tell(
        "grant_revoked",
        now,
        client_id=event.client_id,
        user_id=event.user_id,
        grant_id=event.grant_id,
        reason="callback_refused",
        actor="",
    )


def _checked(result: TokenExchangeResult | None) -> Changes:
    if result is None:
        return Changes()
    try:
        return _parsed(result)
    except (ValueError, TypeError, OAuthError) as error:
        raise OAuthError(
            "server_error", reason=f"token_exchange_callback returned an unusable value: {error}"
        ) from error


def _parsed(result: TokenExchangeResult) -> Changes:
    if not isinstance(result, TokenExchangeResult):
        raise TypeError(f"{type(result).__name__} is not a TokenExchangeResult")
    sets_refresh_token_ttl = result.refresh_token_ttl is not UNSET
    refresh_token_ttl = None
    if isinstance(result.refresh_token_ttl, int):
        refresh_token_ttl = _seconds("refresh_token_ttl", result.refresh_token_ttl, least=0)
    elif sets_refresh_token_ttl and result.refresh_token_ttl is not None:
        raise TypeError("refresh_token_ttl is not a whole number of seconds")
    return Changes(
        props=None if result.props is UNSET else encode_props(result.props),
        access_token_props=None if result.access_token_props is UNSET else encode_props(result.access_token_props),
        scopes=None if result.scopes is None else _scopes(result.scopes),
        access_token_ttl=(
            None if result.access_token_ttl is None else _seconds("access_token_ttl", result.access_token_ttl, least=1)
        ),
        sets_refresh_token_ttl=sets_refresh_token_ttl,
        refresh_token_ttl=refresh_token_ttl,
    )


def _seconds(name: str, value: int, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{name} is not a number of seconds")
    if not isinstance(value, int) or not least <= value <= MAX_TTL:
        raise ValueError(f"{name} is not a whole number of seconds from {least} to {MAX_TTL}")
    return value


def _scopes(scopes: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    listed = tuple(scopes)
    if isinstance(scopes, str) or not all(isinstance(scope, str) for scope in listed):
        raise TypeError("scopes is not a list of strings")
    return parse_scope(" ".join(listed) or None)
