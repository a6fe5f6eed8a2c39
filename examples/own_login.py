"""Grantwell behind a login of your own: one route asks, one line grants. Run: `uvicorn examples.own_login:app`."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from grantwell import AuthorizationError, OAuthProvider, Resource, SecretKey, current_principal
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))


async def authorize(request: Request) -> Response:
    """The authorization endpoint: find out who this is and what they allow, your way."""
    oauth = request.state.oauth
    user = request.headers.get("x-authenticated-user")  # here: what a proxy in front says; yours may be a session
    if user is None:
        return PlainTextResponse("Sign in first.", status_code=401)
    try:
        asked = await oauth.parse_authorization_request(request)
    except AuthorizationError as error:
        if error.redirect_to is None:
            return PlainTextResponse(error.description, status_code=400)
        return Response(status_code=303, headers={"Location": error.redirect_to})
    # A real page shows asked.client.name, asked.redirect_uri and asked.scopes, and waits for a yes.
    location = await oauth.complete_authorization(asked, user_id=user, props={"user": user, "plan": "free"})
    return Response(status_code=303, headers={"Location": location})


async def connections(request: Request) -> Response:
    """What the user has granted, to be shown on a page of theirs."""
    user = request.headers["x-authenticated-user"]
    page = await request.state.oauth.list_user_grants(user)
    return JSONResponse([{"grant": g.grant_id, "client": g.client_id, "scopes": g.scopes} for g in page.items])


async def disconnect(request: Request) -> Response:
    """Take one of them back; somebody else's is not found."""
    user = request.headers["x-authenticated-user"]
    revoked = await request.state.oauth.revoke_grant(request.path_params["grant"], user, reason="user_request")
    return Response(status_code=204 if revoked else 404)


async def plan(request: Request) -> Response:
    """A protected call; the caller is reached from wherever it is needed."""
    return JSONResponse({"plan": current_principal().props["plan"]})


site = Starlette(
    routes=[
        Route("/authorize", authorize),
        Route("/connections", connections),
        Route("/connections/{grant}", disconnect, methods=["DELETE"]),
    ]
)
app = OAuthProvider(
    issuer="http://127.0.0.1:8000",
    store=SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'own_login.db'}"),
    secret_key=SecretKey.file(FOLDER / "own_login.key"),
    api_handlers={"/api": Starlette(routes=[Route("/api/plan", plan)])},
    default_handler=site,
    resources={"/api": Resource(scopes={"plan:read": "See your plan"})},
)
