"""Every answer of our own endpoints is rendered here: JSON, errors, challenges, CORS (RFC 6749 section 5)."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from .. import hooks
from .._flows import refusals
from .._flows.context import Context
from .._protocol.challenges import challenge
from ..config import ProtectedResource
from ..errors import ExternalTokenError, OAuthError
from ..hooks import ErrorEvent

log = logging.getLogger("grantwell")

Headers = tuple[tuple[bytes, bytes], ...]

_JSON: Headers = ((b"content-type", b"application/json"),)
NO_STORE: Headers = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))
OPEN_CORS: Headers = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"WWW-Authenticate, Retry-After"),
)
_PREFLIGHT: Headers = (
    (b"access-control-allow-methods", b"*"),
    # The wildcard does not cover Authorization (Fetch standard, section 4.9).
    (b"access-control-allow-headers", b"Authorization, *"),
    (b"access-control-max-age", b"86400"),
)


POLICY_VIOLATION = 1008
"""The code of a websocket that is closed because of who asks (RFC 6455 section 7.4.1)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers and body."""

    status: int
    headers: Headers
    body: bytes = b""


def json_answer(document: Mapping[str, Any], *, status: int = 200, headers: Headers = NO_STORE) -> Answer:
    """A JSON object; credentials are not stored by anybody on the way unless `headers` say otherwise."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, _JSON + headers, body)


def empty_answer(status: int, headers: Headers = NO_STORE) -> Answer:
    """An answer without a body."""
    return Answer(status, headers)


def preflight_answer() -> Answer:
    """The answer to a CORS preflight, to be sent with `cors`: any origin, without credentials."""
    return Answer(204, _PREFLIGHT)


def method_not_allowed(allow: str) -> Answer:
    """405 with the methods that are (RFC 9110 section 15.5.6)."""
    error = OAuthError("invalid_request", "The method is not allowed here.", status=405, headers={"Allow": allow})
    return rendered(error)


def metadata_answer(document: Answer | None, scope: Scope) -> Answer:
    """The answer at a place of metadata, for GET and HEAD and preflights of any origin; 404 without a document."""
    if document is None or scope["type"] != "http":
        return not_found()
    if scope["method"] == "OPTIONS":
        return preflight_answer()
    if scope["method"] not in ("GET", "HEAD"):
        return method_not_allowed("GET, HEAD, OPTIONS")
    return document


def not_found() -> Answer:
    """404 for a place of ours where nothing is."""
    return rendered(OAuthError("invalid_request", "Nothing is here.", status=404))


def rendered(error: OAuthError) -> Answer:
    """An error answer as it stands: without a challenge, and unseen by log and hook."""
    return json_answer(_members(error), status=error.status, headers=_headers(error.headers))


async def error_answer(context: Context, error: OAuthError, *, endpoint: str, address: str | None = None) -> Answer:
    """An error answer, as `on_error` wants it; the reason goes to the log, and is kept for the operator."""
    error.reference = refusals.note(
        context,
        endpoint=endpoint,
        code=error.code,
        description=error.description,
        reason=error.reason,
        status=error.status,
        client_id=error.client_id,
        grant_id=error.grant_id,
        address=address,
        inputs=error.inputs,
    )
    return rendered(await _replaced(context, error, endpoint))


def challenge_answer(resource: ProtectedResource, error: OAuthError | ExternalTokenError) -> Answer:
    """The refusal of a protected call, with a challenge where another token would do (RFC 6750 section 3)."""
    scopes: Iterable[str] = resource.scopes
    if isinstance(error, ExternalTokenError):
        scopes = error.required_scopes or scopes
    headers = dict(error.headers)
    challenged = error.status == 401 or (error.code, error.status) in _CHALLENGED
    if challenged and "www-authenticate" not in {name.lower() for name in headers}:
        headers["WWW-Authenticate"] = challenge(
            resource_metadata=resource.metadata_url, scopes=scopes, error=error.code, description=error.description
        )
    return json_answer(_members(error), status=error.status, headers=_headers(headers))


# Besides every 401, which must not be without a challenge (RFC 9110 section 15.5.2).
_CHALLENGED = frozenset({("insufficient_scope", 403), ("invalid_request", 400)})
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def missing_token_answer(resource: ProtectedResource) -> Answer:
    """401 for a call without a token: a bare challenge, no error, no body (RFC 6750 section 3.1)."""
    header = challenge(resource_metadata=resource.metadata_url, scopes=resource.scopes)
    return empty_answer(401, ((b"www-authenticate", header.encode("ascii")), *NO_STORE))


def log_refusal(error: OAuthError, endpoint: str) -> None:
    """Tell the log what the client is not told."""
    log.info("refused at %r: %s client=%r reason=%r", endpoint, error.code, error.client_id, error.reason)


async def reviewed(context: Context, error: OAuthError, endpoint: str) -> OAuthError:
    """The error that is sent in the place of this one, which is logged: the same unless `on_error` wants another."""
    log_refusal(error, endpoint)
    return await _replaced(context, error, endpoint)


async def _replaced(context: Context, error: OAuthError, endpoint: str) -> OAuthError:
    if context.hooks.on_error is None:
        return error
    event = ErrorEvent(
        endpoint=endpoint,
        code=error.code,
        description=error.description,
        status=error.status,
        reason=error.reason,
        client_id=error.client_id,
        reference=error.reference,
    )
    try:
        replacement = await hooks.call(context.hooks.on_error, event)
    except Exception:
        log.exception("on_error failed")
        return error
    if replacement is not None and not isinstance(replacement, OAuthError):
        log.error("on_error returned neither an OAuthError nor None, but %s", type(replacement).__name__)
        return error
    return replacement or error


def _members(error: OAuthError | ExternalTokenError) -> dict[str, str]:
    return {"error": error.code, "error_description": error.description}


def _headers(given: Mapping[str, str]) -> Headers:
    """The headers of an error, as bytes: not to be stored, unless it says otherwise itself.

    One that is not visible ASCII is a mistake of ours or of a hook, and is not sent.
    """
    encoded = {
        name.lower().encode("ascii"): value.encode("ascii")
        for name, value in given.items()
        if _HEADER_NAME.fullmatch(name) and value.isascii() and value.isprintable()
    }
    return tuple((dict(NO_STORE) | encoded).items())


async def send_answer(answer: Answer, scope: Scope, receive: Receive, send: Send, *, cors: bool = False) -> None:
    """Send an answer to an http request, or as the refusal of a websocket before it is accepted."""
    headers = [*answer.headers, *(OPEN_CORS if cors else ())]
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    if scope["type"] == "http":
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    elif "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": answer.body})
    else:
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
