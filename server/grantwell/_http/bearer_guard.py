"""The guard before a protected application, wherever its tokens are verified: nobody passes without a principal.

It reads the credential, writes the challenge, answers preflights, and ends calls whose token has ended (RFC 6750).
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.authentication import AuthCredentials
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._protocol.challenges import bearer_credential
from ..config import ProtectedResource
from ..errors import ExternalTokenError, OAuthError, StoreUnavailable
from .answers import (
    OPEN_CORS,
    POLICY_VIOLATION,
    Answer,
    challenge_answer,
    missing_token_answer,
    preflight_answer,
    send_answer,
)
from .calls import Call, InsufficientScope, OpenCalls, TokenVerifier, running_call

_FIRST_MESSAGES = frozenset(
    {"http.response.start", "websocket.accept", "websocket.close", "websocket.http.response.start"}
)


class BearerGuard:
    """Lets a request through to a wrapped application, as somebody, or answers it."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier
        self.open_calls = OpenCalls(verifier)

    async def __call__(
        self,
        resource: ProtectedResource,
        app: ASGIApp,
        state: dict[str, Any],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Handle one http or websocket request below a protected prefix."""
        authorization: list[bytes] = []
        from_browser = preflight = False
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization.append(value)
            elif name == b"origin":
                from_browser = True
            elif name == b"access-control-request-method":
                preflight = True
        if from_browser and preflight and scope.get("method") == "OPTIONS":
            return await send_answer(preflight_answer(), scope, receive, send, cors=True)
        admitted = await self.admit(resource, authorization, scope["query_string"])
        if isinstance(admitted, Answer):
            return await send_answer(admitted, scope, receive, send, cors=from_browser)
        call, credential = admitted
        inner = {
            **scope,
            "user": call.principal,
            "auth": AuthCredentials(resource.with_implied(call.principal.scopes)),
            "state": state,
        }
        await self._run(call, credential, app, inner, receive, _Answering(send, cors=from_browser))
        return None

    async def admit(
        self, resource: ProtectedResource, authorization: list[bytes], query: bytes
    ) -> tuple[Call, str] | Answer:
        """The call that the values of the Authorization header let in, with its credential, or the refusal."""
        try:
            credential = bearer_credential(authorization, query)
            if credential is None:
                return missing_token_answer(resource)
            principal = await self._verifier.verify(resource, credential, self._verifier.now())
            return Call(principal, resource), credential
        except (OAuthError, ExternalTokenError) as error:
            return await self.refusal(resource, error)
        except StoreUnavailable as error:
            return await self.refusal(resource, OAuthError("temporarily_unavailable", reason=str(error)))

    async def refusal(self, resource: ProtectedResource, error: OAuthError | ExternalTokenError) -> Answer:
        """The answer to a call that is not let in, after the error was reviewed."""
        if isinstance(error, OAuthError):
            error = await self._verifier.reviewed(error, resource)
        return challenge_answer(resource, error)

    async def _run(
        self, call: Call, credential: str, app: ASGIApp, scope: Scope, receive: Receive, send: _Answering
    ) -> None:
        opened = self.open_calls.enter(call, credential)
        token = running_call.set(call)
        try:
            await app(scope, receive, send)
        except InsufficientScope as error:
            if send.has_begun and scope["type"] == "http":
                raise
            await self._refuse(call, OAuthError("insufficient_scope", headers=error.headers), scope, receive, send)
        except asyncio.CancelledError:
            if not opened.ended:
                raise
            # The re-check ended this call, not the server: the task itself goes on, to its own end.
            opened.task.uncancel()
            ended = OAuthError("invalid_token", reason="the token ended before the answer did")
            await self._refuse(call, ended, scope, receive, send)
        finally:
            running_call.reset(token)
            self.open_calls.leave(opened)

    async def _refuse(self, call: Call, error: OAuthError, scope: Scope, receive: Receive, send: _Answering) -> None:
        """Answer a call that its application has not answered; cut off one that it has begun to answer."""
        if not send.has_begun:
            await send_answer(await self.refusal(call.resource, error), scope, receive, send)
        elif scope["type"] == "websocket" and not send.has_closed:
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})


class _Answering:
    """The send of a wrapped application; it knows how far the answer got.

    With `cors` it opens the answer to scripts of any origin, unless the application has a policy of its own.
    """

    __slots__ = ("_cors", "_send", "has_begun", "has_closed")

    def __init__(self, send: Send, *, cors: bool) -> None:
        self._send = send
        self._cors = cors
        self.has_begun = False
        self.has_closed = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind in _FIRST_MESSAGES:
            self.has_begun = True
            self.has_closed = kind == "websocket.close"
            if self._cors and kind == "http.response.start":
                message = _with_cors(message)
        await self._send(message)


def _with_cors(message: Message) -> Message:
    headers = list(message.get("headers", ()))
    if any(name.lower() == b"access-control-allow-origin" for name, _ in headers):
        return message
    return {**message, "headers": [*headers, *OPEN_CORS]}
