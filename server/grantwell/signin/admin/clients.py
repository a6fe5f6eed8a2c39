"""Clients: found by name, id or host, and each with what it is and what was granted to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from ...records import Client
from ...store import Page
from ..answers import Refusal
from ..framing import framed
from ..granted import connections, site_host
from ..people import Person, for_people
from ..visits import Routes, Site, Visit
from .parameters import given

ORIGINS = ("operator", "registration", "document")

_PER_PAGE = 25
_READ_AT_ONCE = 200
_MOST_READ = 2000
_MOST_COUNTED = 100
_SHOWN_GRANTS = 10


async def show_all(site: Site, visit: Visit, person: Person) -> Response:
    """The clients that fit, newest first; a search goes through a bounded number of them at a time."""
    filters = given(visit, "q", "origin", "after", "done")
    done, after = filters.pop("done", ""), filters.pop("after", None)
    try:
        found = await _found(site, filters, after)
    except ValueError as error:
        raise Refusal(400, "bad_address") from error
    return framed(
        site,
        person,
        "admin/clients.html",
        {"done": done},
        here="/admin/clients",
        clients=[(client, site_host(site, client), await _grants_of(site, client)) for client in found.items],
        most_counted=_MOST_COUNTED,
        filters=filters,
        origins=ORIGINS,
        is_first_page=after is None,
        after=found.cursor,
    )


async def show_one(site: Site, visit: Visit, person: Person) -> Response:
    """One client: what is known of it, and the newest of its grants."""
    query = visit.query("id", "done")
    client = await known_client(site, query.get("id", ""))
    found = await site.oauth.list_grants(client_id=client.client_id, limit=_SHOWN_GRANTS)
    return framed(
        site,
        person,
        "admin/client.html",
        query,
        here="/admin/clients",
        client=client,
        site_host=site_host(site, client),
        claims=_claims(client),
        connections=await connections(site, found.items),
        has_more=found.cursor is not None,
    )


async def known_client(site: Site, client_id: str) -> Client:
    """The client of this id. Raises Refusal."""
    client = await site.oauth.lookup_client(client_id)
    if client is None:
        raise Refusal(404, "no_client")
    return client


async def _found(site: Site, filters: Mapping[str, str], cursor: str | None) -> Page[Client]:
    if not filters:
        return await site.oauth.list_clients(limit=_PER_PAGE, cursor=cursor)
    exact = await site.oauth.lookup_client(filters["q"]) if cursor is None and "q" in filters else None
    if exact is not None:
        return Page((exact,), None)
    clients: list[Client] = []
    for _ in range(0, _MOST_READ, _READ_AT_ONCE):
        page = await site.oauth.list_clients(limit=_READ_AT_ONCE, cursor=cursor)
        clients += [client for client in page.items if _fits(site, client, filters)]
        cursor = page.cursor
        if cursor is None or len(clients) >= _PER_PAGE:
            break
    return Page(tuple(clients), cursor)


def _fits(site: Site, client: Client, filters: Mapping[str, str]) -> bool:
    if filters.get("origin", client.origin) != client.origin:
        return False
    sought = filters.get("q", "").casefold()
    hosts = (site.oauth.redirect_host(uri) for uri in client.redirect_uris)
    return any(sought in text.casefold() for text in (client.name or "", client.client_id, *hosts))


async def _grants_of(site: Site, client: Client) -> tuple[int, bool]:
    """How many grants a client has, counted no further than _MOST_COUNTED, and whether there are more."""
    page = await site.oauth.list_grants(client_id=client.client_id, limit=_MOST_COUNTED)
    return len(page.items), page.cursor is not None


def _claims(client: Client) -> Sequence[tuple[str, str]]:
    """What a client says of itself: to be read and not followed, for nobody checked it."""
    return [(name, text) for name, text in sorted(client.metadata.items()) if isinstance(text, str)]


ROUTES: Routes = {
    "/admin/clients": {"GET": for_people(show_all)},
    "/admin/client": {"GET": for_people(show_one)},
}
