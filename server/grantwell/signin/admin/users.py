"""The people who can sign in: who they are, and what they have let in."""

from __future__ import annotations

from starlette.responses import Response

from ...records import User
from ...store import Page
from ..answers import Refusal
from ..framing import framed
from ..granted import connections
from ..people import Person, for_people
from ..visits import Routes, Site, Visit
from .parameters import given

_PER_PAGE = 50
_SHOWN_GRANTS = 10


async def show_all(site: Site, visit: Visit, person: Person) -> Response:
    """The users by id, a page at a time, or the one of an id."""
    filters = given(visit, "q", "after")
    after = filters.pop("after", None)
    try:
        found = await _found(site, filters.get("q"), after)
    except ValueError as error:
        raise Refusal(400, "bad_address") from error
    return framed(
        site,
        person,
        "admin/users.html",
        {},
        here="/admin/users",
        users=found.items,
        filters=filters,
        is_first_page=after is None,
        after=found.cursor,
    )


async def show_one(site: Site, visit: Visit, person: Person) -> Response:
    """One user, with the newest of their grants."""
    query = visit.query("id", "done")
    user = await known_user(site, query.get("id", ""))
    found = await site.oauth.list_user_grants(user.user_id, limit=_SHOWN_GRANTS)
    return framed(
        site,
        person,
        "admin/user.html",
        query,
        here="/admin/users",
        user=user,
        sessions=len(await site.sessions.of_user(user.user_id, visit.now)),
        connections=await connections(site, found.items),
        has_more=found.cursor is not None,
    )


async def known_user(site: Site, user_id: str) -> User:
    """The user of this id. Raises Refusal."""
    user = await site.accounts.get(user_id)
    if user is None:
        raise Refusal(404, "no_user")
    return user


async def _found(site: Site, sought: str | None, cursor: str | None) -> Page[User]:
    if sought is None:
        return await site.accounts.list(limit=_PER_PAGE, cursor=cursor)
    user = await site.accounts.get(sought)
    return Page(() if user is None else (user,), None)


ROUTES: Routes = {
    "/admin/users": {"GET": for_people(show_all)},
    "/admin/user": {"GET": for_people(show_one)},
}
