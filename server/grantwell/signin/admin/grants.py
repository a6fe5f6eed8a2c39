"""Grants of everybody: by user, by client, by age and by last use."""

from __future__ import annotations

from starlette.responses import Response

from ..answers import Refusal
from ..framing import framed
from ..granted import connections
from ..people import Person, for_people
from ..selections import Selection
from ..visits import Routes, Site, Visit
from .parameters import days_ago, given

_PER_PAGE = 25


async def show(site: Site, visit: Visit, person: Person) -> Response:
    """The grants that fit, newest first; and the way to end all of them."""
    filters = given(visit, "user", "client", "older", "unused", "after", "done")
    done, after = filters.pop("done", ""), filters.pop("after", None)
    selection = Selection(
        user_id=filters.get("user"),
        client_id=filters.get("client"),
        created_before=days_ago(filters, "older", visit.now),
        unused_since=days_ago(filters, "unused", visit.now),
    )
    try:
        found = await site.oauth.list_grants(
            user_id=selection.user_id,
            client_id=selection.client_id,
            created_before=selection.created_before,
            unused_since=selection.unused_since,
            limit=_PER_PAGE,
            cursor=after,
        )
    except ValueError as error:
        raise Refusal(400, "bad_address") from error
    return framed(
        site,
        person,
        "admin/grants.html",
        {"done": done},
        here="/admin/grants",
        connections=await connections(site, found.items),
        filters=filters,
        selection=selection.parameters(),
        is_first_page=after is None,
        after=found.cursor,
    )


ROUTES: Routes = {"/admin/grants": {"GET": for_people(show)}}
