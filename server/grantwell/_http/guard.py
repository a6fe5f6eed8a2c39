"""The guard of the protected prefixes: no request reaches a wrapped application without a principal (RFC 6750)."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.authentication import AuthCredentials
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._flows import bearer
from .._flows.context import Context
from .._protocol.challenges import bearer_credential
from ..config import ProtectedResource
from ..errors import ExternalTokenError, OAuthError, StoreUnavailable
from .answers import (
    OPEN_CORS,
    Answer,
    challenge_answer,
    error_answer,
    missing_token_answer,
    preflight_answer,
    send_answer,
)
from .calls import Call, InsufficientScope, OpenCalls, running_call

_POLICY_VIOLATION = 1008


class Guard:
    """Lets a request through to a wrapped application, as somebody, or answers it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.open_calls = OpenCalls(context)

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
        admitted = await self._admit(resource, authorization, scope)
        if isinstance(admitted, Answer):
            return await send_answer(admitted, scope, receive, send, cors=from_browser)
        call, credential = admitted
        inner = {
            **scope,
            "user": call.principal,
            "auth": AuthCredentials(call.principal.scopes),
            "state": state,
        }
        if from_browser and scope["type"] == "http":
            send = _with_cors(send)
        await self._run(call, credential, app, inner, receive, send)
        return None

    async def _admit(
        self, resource: ProtectedResource, authorization: list[bytes], scope: Scope
    ) -> tuple[Call, str] | Answer:
        try:
            credential = bearer_credential(authorization, scope["query_string"])
            if credential is None:
                return missing_token_answer(resource)
            principal = await bearer.verify(self._context, resource, credential, self._context.now())
            return Call(principal, resource), credential
        except (OAuthError, ExternalTokenError) as error:
            return await challenge_answer(self._context, resource, error)
        except StoreUnavailable as error:
            unavailable = OAuthError("temporarily_unavailable", reason=str(error))
            return await error_answer(self._context, unavailable, endpoint=resource.prefix)

    async def _run(self, call: Call, credential: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        opened = self.open_calls.enter(call, credential)
        token = running_call.set(call)
        try:
            await app(scope, receive, send)
        except InsufficientScope as error:
            refused = OAuthError("insufficient_scope", headers=error.headers)
            await send_answer(await challenge_answer(self._context, call.resource, refused), scope, receive, send)
        except asyncio.CancelledError:
            if not opened.ended:
                raise
            # The re-check ended this call, not the server: the task itself goes on, to its own end.
            opened.task.uncancel()
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        finally:
            running_call.reset(token)
            self.open_calls.leave(opened)


def _with_cors(send: Send) -> Send:
    """A send that opens the answer to scripts of any origin, unless the application has a policy of its own."""

    async def opened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if not any(name.lower() == b"access-control-allow-origin" for name, _ in headers):
                message = {**message, "headers": [*headers, *OPEN_CORS]}
        await send(message)

    return opened
