"""Grantwell added to a FastAPI application that has its own login. Run: `uvicorn examples.fastapi_own_login:app`."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated
from urllib.parse import quote

from fastapi import FastAPI, Request, Security
from fastapi.responses import HTMLResponse, Response

from grantwell import AuthorizationError, OAuthProvider, Principal, Resource, SecretKey
from grantwell.integrations.fastapi import OAuth
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))
ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8000")
SCOPES = {"notes:read": "Read your notes"}
ALONE = {"X-Frame-Options": "DENY", "Cache-Control": "no-store"}  # nobody puts a consent page into a frame
LOGIN = "<form method=post><input name=user autocomplete=username> <input name=password type=password><button>Sign in"


def go(location: str) -> Response:
    """Send the browser on, to exactly this address."""
    return Response(status_code=303, headers={"Location": location})


# ── What was there before: people with passwords, a login, a cookie ──
site = FastAPI()
people, sessions = {"alice": "wonderland", "bob": "builder"}, dict[str, str]()


@site.api_route("/login", methods=["GET", "POST"])
async def login(request: Request, next: str = "/") -> Response:
    """Sign in, and go on to a page of this site."""
    if request.method == "GET":
        return HTMLResponse(LOGIN)
    form = await request.state.oauth.read_form(request)
    if people.get(form.get("user", "")) != form.get("password"):
        return HTMLResponse("That is not right.", 403)
    response = go(next if next.startswith("/authorize?") else "/")
    sessions[session := token_urlsafe()] = form["user"]
    response.set_cookie("session", session, httponly=True, samesite="lax", secure=ISSUER.startswith("https:"))
    return response


# ── What is new: a page that asks, a page that answers, and who calls ──
asked_of = dict[str, tuple[str, str]]()  # the requests that somebody was shown; yours would be in the session


@site.get("/authorize")
async def authorize(request: Request) -> Response:
    """Show what a client asks for to whoever has signed in."""
    oauth, user = request.state.oauth, sessions.get(request.cookies.get("session", ""))
    try:
        asked = await oauth.parse_authorization_request(request)
    except AuthorizationError as error:  # an error goes to the client only if it is known that it is the client's
        return go(error.redirect_to) if error.redirect_to else HTMLResponse(escape(str(error)), 400)
    if user is None:
        return go(f"/login?next={quote(f'/authorize?{request.url.query}')}")
    asked_of[ticket := token_urlsafe()] = (user, asked.encoded())
    wanted = ", ".join(SCOPES.get(scope, scope) for scope in asked.scopes)
    text = f"{user}: {asked.client.name} at {oauth.redirect_host(asked.redirect_uri)} wants to: {wanted}"
    form = f"<form method=post action=/consent><input type=hidden name=ticket value={ticket}><button>Allow"
    return HTMLResponse(f"<p>{escape(text)}</p>{form}", headers=ALONE)


@site.post("/consent")
async def consent(request: Request) -> Response:
    """Grant what was shown, to the one who was shown it."""
    oauth, user = request.state.oauth, sessions.get(request.cookies.get("session", ""))
    shown_to, encoded = asked_of.pop((await oauth.read_form(request)).get("ticket", ""), ("", ""))
    if not user or shown_to != user:
        return HTMLResponse("Start again.", 403)
    asked = await oauth.load_authorization_request(encoded)
    return go(await oauth.complete_authorization(asked, user_id=user))


oauth = OAuth(ISSUER, SCOPES)


@site.get("/api/notes")
async def notes(who: Annotated[Principal, Security(oauth, scopes=["notes:read"])]) -> list[str]:
    """A protected call."""
    return [f"a note of {who.user_id}"]


app = OAuthProvider(  # the same application twice: below /api with a token, everywhere else as before
    issuer=ISSUER,
    store=SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'fastapi_own_login.db'}"),
    secret_key=SecretKey.file(FOLDER / "fastapi_own_login.key"),
    api_handlers={"/api": site},
    default_handler=site,
    resources={"/api": Resource(scopes=SCOPES)},
)
