"""What happened: found by name, user, client, grant, or the reference that an error page showed."""

from __future__ import annotations

from starlette.responses import Response

from ..answers import Refusal
from ..framing import framed
from ..people import Person, for_people
from ..visits import Routes, Site, Visit
from .parameters import days_ago, given

_PER_PAGE = 50


async def show(site: Site, visit: Visit, person: Person) -> Response:
    """The events that fit, newest first."""
    filters = given(visit, "name", "user", "client", "grant", "reference", "days", "after")
    after = filters.pop("after", None)
    try:
        found = await site.oauth.list_events(
            name=filters.get("name"),
            user_id=filters.get("user"),
            client_id=filters.get("client"),
            grant_id=filters.get("grant"),
            reference=filters.get("reference"),
            since=days_ago(filters, "days", visit.now),
            limit=_PER_PAGE,
            cursor=after,
        )
    except ValueError as error:
        raise Refusal(400, "bad_address") from error
    return framed(
        site,
        person,
        "admin/events.html",
        {},
        here="/admin/events",
        events=found.items,
        filters=filters,
        is_first_page=after is None,
        after=found.cursor,
    )


ROUTES: Routes = {"/admin/events": {"GET": for_people(show)}}
