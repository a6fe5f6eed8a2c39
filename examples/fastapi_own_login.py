"""Grantwell added to a FastAPI application that has its own login. Run: `uvicorn examples.fastapi_own_login:app`.

The application of `fastapi_site.py` stays as it is; it gets a page that asks, a page that answers, and an API.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated
from urllib.parse import quote

from fastapi import Request, Security
from fastapi.responses import HTMLResponse, Response

from examples.fastapi_site import signed_in, site
from grantwell import AuthorizationError, OAuthError, OAuthProvider, Principal, Resource, SecretKey
from grantwell.integrations.fastapi import OAuth
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))
ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
SCOPES = {"notes:read": "Read your notes"}
ALONE = {"X-Frame-Options": "DENY", "Cache-Control": "no-store"}  # nobody puts a consent page into a frame
asked_of = dict[str, tuple[str, str]]()  # what was shown, and to whom; yours would be in the session


def go(location: str) -> Response:
    """Send the browser on, to exactly this address."""
    return Response(status_code=303, headers={"Location": location})


@site.get("/authorize")
async def authorize(request: Request) -> Response:
    """Show what a client asks for to whoever has signed in."""
    oauth, user = request.state.oauth, signed_in(request)
    asked = await oauth.parse_authorization_request(request)
    if user is None:
        return go(f"/login?next={quote(f'/authorize?{request.url.query}')}")
    asked_of[ticket := token_urlsafe()] = (user, asked.encoded())
    wanted = ", ".join(SCOPES.get(scope, scope) for scope in asked.scopes)
    text = f"{user}: {asked.client.name} at {oauth.redirect_host(asked.redirect_uri)} wants to: {wanted}"
    form = f"<form method=post action=/consent><input type=hidden name=ticket value={ticket}><button>Allow"
    return HTMLResponse(f"<p>{escape(text)}</p>{form}", headers=ALONE)


@site.post("/consent")
async def consent(request: Request) -> Response:
    """Grant what was shown, to the one who was shown it, once."""
    oauth, user = request.state.oauth, signed_in(request)
    shown_to, encoded = asked_of.pop((await oauth.read_form(request)).get("ticket", ""), ("", ""))
    if user is None or shown_to != user:
        return HTMLResponse("Start again.", 403)
    asked = await oauth.load_authorization_request(encoded)
    return go(await oauth.complete_authorization(asked, user_id=user))


@site.exception_handler(OAuthError)
async def refuse(request: Request, error: OAuthError) -> Response:
    """Tell the client what is wrong with its request, if somebody has signed in; otherwise whoever is here."""
    if isinstance(error, AuthorizationError) and error.redirect_to and (error.trusted or signed_in(request)):
        return go(error.redirect_to)
    return HTMLResponse(escape(error.description), error.status)


oauth = OAuth(ISSUER, SCOPES)


@site.get("/api/notes")
async def notes(who: Annotated[Principal, Security(oauth, scopes=["notes:read"])]) -> list[str]:
    """A call with a token."""
    return [f"a note of {who.user_id}"]


app = OAuthProvider(  # the same application twice: below /api with a token, everywhere else as before
    issuer=ISSUER,
    store=SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'fastapi_own_login.db'}"),
    secret_key=SecretKey.file(FOLDER / "fastapi_own_login.key"),
    api_handlers={"/api": site},
    default_handler=site,
    resources={"/api": Resource(scopes=SCOPES)},
)
