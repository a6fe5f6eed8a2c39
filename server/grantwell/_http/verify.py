"""The decision for a proxy that asks before it passes a request on: nginx's `auth_request`, forward-auth elsewhere.

It is the decision of a direct call: the same choice of a prefix, the same guard, the same challenges. The answer is 204
with who calls, or 401 or 403, for nginx knows no others; a client's own request never makes it another one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qsl, unquote

from starlette.types import Receive, Scope, Send

from .._flows.context import Context
from ..config import ProtectedResource
from ..errors import OAuthError
from .answers import NO_STORE, Answer, error_answer, method_not_allowed, not_found, send_answer
from .bearer_guard import BearerGuard
from .calls import InsufficientScope
from .identity import identity_headers
from .paths import IrregularPath, Prefixes
from .requests import header_values, route_path

_NAMING_HEADERS = (b"x-original-uri", b"x-forwarded-uri")
# No fragment, blank, control or foreign byte, which proxies and applications cut off, drop or decode as they like.
_TARGET = re.compile(rb"(/[!\"$->@-~]*)(?:\?([!\"$-~]*))?")


class Verification:
    """Decides about requests that another server is going to serve."""

    def __init__(self, context: Context, prefixes: Prefixes, guard: BearerGuard) -> None:
        self._context = context
        self._prefixes = prefixes
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a proxy's question."""
        answer = await self._answer(scope)
        if answer.status == 400:
            # A malformed credential: to nginx it would be a fault of this server.
            answer = replace(answer, status=401)
        await send_answer(answer, scope, receive, send, cors=bool(header_values(scope, b"origin")))

    async def _answer(self, scope: Scope) -> Answer:
        if scope["type"] != "http":
            return not_found()
        if scope["method"] not in ("GET", "HEAD"):
            return method_not_allowed("GET, HEAD")
        try:
            path, query = _original_target(scope)
            resource = self._resource(path, scope)
            scopes = _needed_scopes(scope["query_string"], resource)
        except OAuthError as error:
            return await error_answer(self._context, error, endpoint=scope["path"])
        admitted = await self._guard.admit(resource, header_values(scope, b"authorization"), query)
        if isinstance(admitted, Answer):
            return admitted
        principal = admitted[0].principal
        held = resource.with_implied(principal.scopes)
        if not set(scopes) <= set(held):
            headers = InsufficientScope(resource, scopes).headers
            return await self._guard.refusal(resource, OAuthError("insufficient_scope", headers=headers))
        return Answer(204, (*identity_headers(principal, held), *NO_STORE))

    def _resource(self, raw_path: bytes, scope: Scope) -> ProtectedResource:
        """What protects the original path. Raises OAuthError 403 for one that is not plainly below a prefix."""
        root: str = scope.get("root_path", "")
        path = unquote(raw_path.decode("ascii"))
        below = route_path({"path": path, "root_path": root})
        try:
            protected = None if root and below == path else self._prefixes.find(below, {"raw_path": raw_path})
        except IrregularPath:
            raise _refused("The path is not written plainly.", "the original path is irregular") from None
        if protected is None:
            raise _refused("Nothing is protected there.", f"no prefix covers the original path {path!r}")
        return protected.resource


def _original_target(scope: Scope) -> tuple[bytes, bytes]:
    """Raw path and query of the request that the proxy was sent. Raises OAuthError 403 unless it names exactly one.

    A proxy sets one of the two headers and passes the other one on as the client sent it, so both must say the same.
    """
    named = {value for name in _NAMING_HEADERS for value in header_values(scope, name)}
    match = _TARGET.fullmatch(named.pop()) if len(named) == 1 else None
    if match is None:
        raise _refused("The original request is not named in one way.", "X-Original-URI or X-Forwarded-Uri: not one")
    return match[1], match[2] or b""


def _needed_scopes(query: bytes, resource: ProtectedResource) -> tuple[str, ...]:
    """The scopes that the operator wrote behind the endpoint. Raises OAuthError 403 for what is no scope there."""
    if not query:
        return ()
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        pairs = [("", "")]
    scopes = tuple(scope for _, value in pairs for scope in value.split(" "))
    if {name for name, _ in pairs} != {"scope"} or not set(scopes) <= set(resource.scopes):
        # A misspelt word must not open what it was to close.
        raise _refused(
            "The proxy asks for what is not here.", f"the query {query!r} names no scope of {resource.prefix!r}"
        )
    return tuple(dict.fromkeys(scopes))


def _refused(description: str, reason: str) -> OAuthError:
    return OAuthError("invalid_request", description, status=403, reason=reason)
