"""Connected applications: what has access in a user's name, and its end, with effect on the next request."""

from __future__ import annotations

from starlette.responses import Response

from ..answers import Refusal, redirect
from ..framing import framed
from ..granted import connections
from ..notices import leading_to
from ..people import Person, acting, for_people, form_token, require_form
from ..visits import Routes, Site, Visit

_PER_PAGE = 20
_MOST_COUNTED = 1000


async def show(site: Site, visit: Visit, person: Person) -> Response:
    """What has access, newest first, a page at a time."""
    query = visit.query("after", "done")
    try:
        found = await site.oauth.list_user_grants(person.user_id, limit=_PER_PAGE, cursor=query.get("after"))
    except ValueError as error:
        raise Refusal(400, "bad_address") from error
    return framed(
        site,
        person,
        "account/connections.html",
        query,
        here="/account/connections",
        connections=await connections(site, found.items),
        tokens={grant.grant_id: form_token(site, person, "end_connection", grant.grant_id) for grant in found.items},
        is_first_page="after" not in query,
        after=found.cursor,
    )


async def end_one(site: Site, visit: Visit, person: Person) -> Response:
    """End one connection of this user."""
    grant_id = visit.form.get("grant", "")
    require_form(site, visit, person, "end_connection", grant_id)
    ended = await acting(site, visit, person).revoke_grant(grant_id, person.user_id, reason="user_request")
    return redirect(leading_to(site, person.session, "/account/connections", "connections_ended", int(ended)))


async def ask(site: Site, visit: Visit, person: Person) -> Response:
    """Say what will end: all connections of the user, or those of one client."""
    query = visit.query("client")
    client_id = query.get("client")
    found = await site.oauth.list_grants(user_id=person.user_id, client_id=client_id, limit=_MOST_COUNTED)
    # Whether there is such a client is only for those whom it has access to.
    client = await site.oauth.lookup_client(client_id) if client_id is not None and found.items else None
    used = [grant.last_used_at for grant in found.items if grant.last_used_at is not None]
    return framed(
        site,
        person,
        "account/end_connections.html",
        query,
        here="/account/connections",
        client_id=client_id,
        client=client,
        count=len(found.items),
        has_more=found.cursor is not None,
        applications=len({grant.client_id for grant in found.items}),
        newest=found.items[0].created_at if found.items else None,
        last_used=max(used, default=None),
        csrf=form_token(site, person, "end_connections", client_id),
    )


async def end_all(site: Site, visit: Visit, person: Person) -> Response:
    """End all connections of the user, or those of one client, in one transaction."""
    client_id = visit.form.get("client")
    require_form(site, visit, person, "end_connections", client_id)
    oauth = acting(site, visit, person)
    ended = await oauth.revoke_user_grants(person.user_id, client_id=client_id, reason="user_request")
    return redirect(leading_to(site, person.session, "/account/connections", "connections_ended", ended))


ROUTES: Routes = {
    "/account/connections": {"GET": for_people(show), "POST": for_people(end_one)},
    "/account/connections/end": {"GET": for_people(ask), "POST": for_people(end_all)},
}
