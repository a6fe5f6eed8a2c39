"""The protected API of the demonstration: who am I, and notes. All it knows of OAuth is `request.user` and scopes."""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ... import Principal, require_scopes
from .notes import Notes, NotesUnavailable, checked_text

MOST_BODY_BYTES = 16 * 1024


def describe(principal: Principal) -> dict[str, Any]:
    """Who makes a call, as the demonstration tells it."""
    return {
        "user": principal.user_id,
        "client": principal.client_id,
        "grant": principal.grant_id,
        "scopes": list(principal.scopes),
        "audience": list(principal.audience),
        "expires_at": principal.expires_at,
        "props": principal.props,
    }


class _NotesApi:
    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    async def list_or_add(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._add(request)
        principal = require_scopes("notes:read")
        return _json({"notes": await self._notes.of(principal.identity)})

    async def _add(self, request: Request) -> Response:
        principal = require_scopes("notes:write")
        body = await _json_body(request)
        try:
            text = checked_text(body.get("text") if isinstance(body, dict) else None)
        except ValueError as error:
            raise HTTPException(400, f'{error} Send {{"text": "…"}}.') from error
        note = await self._notes.add(principal.identity, text)
        if note is None:
            raise HTTPException(409, "You have as many notes as there may be; delete one first.")
        return _json(note, status=201)

    async def delete(self, request: Request) -> Response:
        principal = require_scopes("notes:write")
        if not await self._notes.delete(principal.identity, request.path_params["note_id"]):
            raise HTTPException(404, "There is no such note.")
        return Response(status_code=204)


def api(notes: Notes) -> Starlette:
    """The application behind `/api`."""
    handlers = _NotesApi(notes)
    app = Starlette(
        routes=[
            Route("/api", _who_am_i),
            Route("/api/me", _who_am_i),
            Route("/api/notes", handlers.list_or_add, methods=["GET", "POST"]),
            Route("/api/notes/{note_id:int}", handlers.delete, methods=["DELETE"]),
        ],
        exception_handlers={HTTPException: _refused, NotesUnavailable: _unavailable},
    )
    # A redirect to the same path with a slash would be built from the Host header.
    app.router.redirect_slashes = False
    return app


async def _who_am_i(request: Request) -> Response:
    return _json(describe(request.user))


async def _json_body(request: Request) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "The body must be application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise HTTPException(413, "The body is too large.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "The body is not JSON.") from error


def _json(document: dict[str, Any], *, status: int = 200) -> JSONResponse:
    return JSONResponse(document, status_code=status, headers={"Cache-Control": "no-store"})


async def _refused(request: Request, error: Exception) -> Response:
    refused = error if isinstance(error, HTTPException) else HTTPException(500)
    return JSONResponse({"error": refused.detail}, status_code=refused.status_code, headers=refused.headers)


async def _unavailable(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "The notes cannot be reached; try again."}, 503, {"Retry-After": "2"})
