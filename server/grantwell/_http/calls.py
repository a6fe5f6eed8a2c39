"""The protected call that is running: who makes it, and how long it may stay open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from starlette.exceptions import HTTPException

from .._protocol.challenges import challenge
from ..config import ProtectedResource
from ..errors import ExternalTokenError, OAuthError, StoreUnavailable
from ..records import Principal

log = logging.getLogger("grantwell")

RECHECK_SECONDS = 5.0


class TokenVerifier(Protocol):
    """What is asked whether an access token is good: the store that issued it, or the server that did."""

    def now(self) -> int:
        """Whole seconds since 1970 UTC."""

    def verify(self, resource: ProtectedResource, credential: str, now: int) -> Awaitable[Principal]:
        """Who presents this token at this resource. Raises OAuthError, ExternalTokenError, StoreUnavailable."""

    def reviewed(self, error: OAuthError, resource: ProtectedResource) -> Awaitable[OAuthError]:
        """The error as it is to be sent, after it was logged."""


@dataclass(frozen=True, slots=True)
class Call:
    """A protected call, with the credential it was let in by."""

    principal: Principal
    resource: ProtectedResource


running_call: ContextVar[Call | None] = ContextVar("grantwell_call", default=None)


class InsufficientScope(HTTPException):
    """The token has not the scopes that an operation needs: 403 with a step-up challenge (RFC 6750 section 3.1).

    Starlette and FastAPI answer it as it is; in any other ASGI application the guard does.
    """

    def __init__(self, resource: ProtectedResource, scopes: tuple[str, ...]) -> None:
        error = OAuthError("insufficient_scope")
        header = challenge(
            resource_metadata=resource.metadata_url, scopes=scopes, error=error.code, description=error.description
        )
        super().__init__(403, error.description, {"WWW-Authenticate": header, "Cache-Control": "no-store"})
        self.resource = resource
        self.scopes = scopes


def current_principal() -> Principal:
    """Who makes the protected call that is running. Raises LookupError outside of one."""
    call = running_call.get()
    if call is None:
        raise LookupError("no protected call is running here")
    return call.principal


def require_scopes(*scopes: str) -> Principal:
    """Return the principal if its token has all these scopes; otherwise answer 403 and name all of them.

    A scope that implies another (`Resource.implies`) stands for it. Raises InsufficientScope (an HTTPException),
    LookupError outside of a protected call.
    """
    call = running_call.get()
    if call is None:
        raise LookupError("no protected call is running here")
    if not set(scopes) <= set(call.resource.with_implied(call.principal.scopes)):
        raise InsufficientScope(call.resource, scopes)
    return call.principal


@dataclass(slots=True, eq=False)
class _OpenCall:
    call: Call
    credential: str
    task: asyncio.Task[object]
    opened_at: float
    ended: bool = False


class OpenCalls:
    """The protected calls whose answer is not complete. Every five seconds those that last that long are re-checked."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier
        self._open: set[_OpenCall] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._check: asyncio.Task[None] | None = None

    def enter(self, call: Call, credential: str) -> _OpenCall:
        """A call begins; it runs in the current task."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a protected call runs in a task")
        loop = asyncio.get_running_loop()
        opened = _OpenCall(call, credential, task, loop.time())
        self._open.add(opened)
        if self._timer is None:
            self._timer = loop.call_later(RECHECK_SECONDS, self._start_check)
        return opened

    def leave(self, opened: _OpenCall) -> None:
        """A call has ended."""
        self._open.discard(opened)

    def _start_check(self) -> None:
        self._timer = None
        if self._open:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(RECHECK_SECONDS, self._start_check)
            if self._check is None or self._check.done():
                self._check = loop.create_task(self.recheck())

    async def recheck(self) -> None:
        """End the calls whose token is not good any more."""
        before = asyncio.get_running_loop().time() - RECHECK_SECONDS / 2
        # All at once: one that waits for `resolve_external_token` must not hold up the others.
        await asyncio.gather(*(self._end_unless_good(o) for o in self._open if o.opened_at <= before))

    async def _end_unless_good(self, opened: _OpenCall) -> None:
        if not await self._is_good(opened) and opened in self._open:
            opened.ended = True
            opened.task.cancel()

    async def _is_good(self, opened: _OpenCall) -> bool:
        call, now = opened.call, self._verifier.now()
        try:
            await self._verifier.verify(call.resource, opened.credential, now)
        except (OAuthError, ExternalTokenError, StoreUnavailable) as error:
            if isinstance(error, StoreUnavailable) or error.status >= 500:
                # It says nothing about the token, and the next check may; but what has ended needs no check.
                return call.principal.expires_at is None or now < call.principal.expires_at
            log.info("an open call is ended: grant=%r reason=%r", call.principal.grant_id, str(error))
            return False
        return True

    def close(self) -> None:
        """Stop re-checking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._check is not None:
            self._check.cancel()
