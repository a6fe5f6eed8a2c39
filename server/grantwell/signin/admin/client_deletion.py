"""Deleting a client, after a look at what ends with it."""

from __future__ import annotations

from starlette.responses import Response

from ...crypto import MacField
from ...records import Client
from ..answers import redirect
from ..framing import framed
from ..notices import leading_to
from ..people import Person, acting, form_token, require_form
from ..selections import Selected, Selection, selected
from ..visits import Routes, Site, Visit
from .access import freshly
from .clients import known_client


async def preview(site: Site, visit: Visit, person: Person) -> Response:
    """What ends with the client."""
    client = await known_client(site, visit.query("id").get("id", ""))
    return _page(site, person, client, await selected(site, Selection(client_id=client.client_id)))


async def delete(site: Site, visit: Visit, person: Person) -> Response:
    """Delete the client as it was shown; if more would end with it by now, show that instead."""
    client = await known_client(site, visit.form.get("id", ""))
    seen = visit.form.get("seen", "")
    require_form(site, visit, person, "delete_client", *_shown(client, seen))
    chosen = await selected(site, Selection(client_id=client.client_id))
    if chosen.has_grown_since(seen):
        return _page(site, person, client, chosen, grown=True)
    deleted = await acting(site, visit, person).delete_client(client.client_id)
    return redirect(leading_to(site, person.session, "/admin/clients", "clients_deleted", int(deleted)))


def _page(site: Site, person: Person, client: Client, chosen: Selected, *, grown: bool = False) -> Response:
    return framed(
        site,
        person,
        "admin/delete_client.html",
        {},
        here="/admin/clients",
        status=409 if grown else 200,
        client=client,
        chosen=chosen,
        grown=grown,
        csrf=form_token(site, person, "delete_client", *_shown(client, chosen.seen)),
    )


def _shown(client: Client, seen: str) -> list[MacField]:
    return [client.client_id, client.version, client.name, seen]


ROUTES: Routes = {"/admin/client/delete": {"GET": freshly(preview), "POST": freshly(delete, "id")}}
