"""Pages for whoever is signed in: others sign in first, and a form counts only from the page it was shown on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlencode

from starlette.responses import Response

from .. import OAuthHelpers
from ..crypto import MacField
from ..records import Session
from .answers import Refusal, redirect
from .returning import destination
from .visits import Handler, Site, Visit


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in on the browser of a visit."""

    user_id: str
    session: Session


PersonHandler: TypeAlias = Callable[[Site, Visit, Person], Awaitable[Response]]


def for_people(handler: PersonHandler) -> Handler:
    """A handler for whoever is signed in. Others are sent to sign in and come back, but their forms are refused."""

    async def handle(site: Site, visit: Visit) -> Response:
        session = visit.session
        if session is not None and session.user_id is not None:
            return await handler(site, visit, Person(session.user_id, session))
        if visit.request.method == "POST":
            raise Refusal(403, "signed_out")
        return sign_in_first(site, visit)

    return handle


def sign_in_first(site: Site, visit: Visit, query: str | None = None) -> Response:
    """Send a browser to sign in, and back to the page that it asked for, with these parameters or its own."""
    route = site.oauth.route_path(visit.request.scope)
    if query is None:
        query = urlencode(visit.request.query_params.multi_items())
    to = destination(f"{route}?{query}" if query else route) or route
    return redirect(f"{site.path('/signin')}?{urlencode({'to': to})}")


def acting(site: Site, visit: Visit, person: Person) -> OAuthHelpers:
    """The operations, of which the events say that this person did it, and from where."""
    return site.oauth.acting_as(f"user:{person.user_id}", address=site.oauth.client_address(visit.request))


def form_token(site: Site, person: Person, purpose: str, *shown: MacField) -> str:
    """The token of a form: for one purpose, this browser, this user, and what was shown with it."""
    return site.keyring.csrf_token([purpose, person.session.digest, person.user_id, *shown])


def require_form(site: Site, visit: Visit, person: Person, purpose: str, *shown: MacField) -> None:
    """Go on with a form that has the token for this. Raises Refusal."""
    fields = [purpose, person.session.digest, person.user_id, *shown]
    if not site.keyring.csrf_token_fits(fields, visit.form.get("csrf", "")):
        raise Refusal(403, "stale_form")
