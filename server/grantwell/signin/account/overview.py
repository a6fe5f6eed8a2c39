"""The first page of the account: who is signed in, and what there is to see."""

from __future__ import annotations

from starlette.responses import Response

from ..framing import framed
from ..people import Person, for_people
from ..visits import Routes, Site, Visit

_MOST_COUNTED = 100


async def show(site: Site, visit: Visit, person: Person) -> Response:
    """Who is signed in, how many connections and sessions there are, and whether there is a password to change."""
    query = visit.query("done")
    user = await site.accounts.get(person.user_id)
    grants = await site.oauth.list_user_grants(person.user_id, limit=_MOST_COUNTED)
    sessions = await site.sessions.of_user(person.user_id, visit.now)
    return framed(
        site,
        person,
        "account/overview.html",
        query,
        here="/account",
        name=None if user is None else user.name,
        is_admin=user is not None and user.is_admin,
        has_password=user is not None and user.password_hash != "",
        connections=len(grants.items),
        has_more_connections=grants.cursor is not None,
        sessions=len(sessions),
        signed_in_at=person.session.created_at,
    )


ROUTES: Routes = {"/account": {"GET": for_people(show)}}
