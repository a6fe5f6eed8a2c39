"""A FastAPI application with a login of its own, as it was before: it knows nothing of OAuth."""

from __future__ import annotations

from hmac import compare_digest
from secrets import token_urlsafe
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

LOGIN = "<form method=post><input name=user autocomplete=username> <input name=password type=password><button>Sign in"

site = FastAPI()
people, sessions = {"alice": "wonderland", "bob": "builder"}, dict[str, str]()


def signed_in(request: Request) -> str | None:
    """Who has signed in on this browser."""
    return sessions.get(request.cookies.get("session", ""))


@site.api_route("/login", methods=["GET", "POST"])
async def login(request: Request, next: str = "/") -> Response:
    """Sign in, and go on to a page of this site."""
    if request.method == "GET":
        return HTMLResponse(LOGIN)
    form = dict(parse_qsl((await request.body()).decode()))
    user, password = form.get("user", ""), form.get("password", "")
    if user not in people or not compare_digest(people[user].encode(), password.encode()):
        return HTMLResponse("That is not right.", 403)
    is_page_of_this_site = next.startswith("/") and not next.startswith(("//", "/\\"))
    response = Response(status_code=303, headers={"Location": next if is_page_of_this_site else "/"})
    sessions[session := token_urlsafe()] = user
    response.set_cookie("session", session, httponly=True, samesite="lax")
    return response
