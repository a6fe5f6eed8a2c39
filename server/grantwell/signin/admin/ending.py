"""Ending grants, after a look at exactly those that end."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from ..answers import redirect
from ..framing import framed
from ..granted import connections
from ..notices import leading_to
from ..people import Person, acting, form_token, require_form
from ..selections import MOST_ENDED, Selected, Selection, end, selected
from ..visits import Routes, Site, Visit
from .access import freshly
from .parameters import selection_of

_PARAMETERS = ("grant", "user", "client", "created_before", "unused_since")
_SHOWN = 10


async def preview(site: Site, visit: Visit, person: Person) -> Response:
    """What would end."""
    query = visit.query(*_PARAMETERS, "done")
    selection = selection_of(query)
    return await _page(site, person, query, selection, await selected(site, selection))


async def confirm(site: Site, visit: Visit, person: Person) -> Response:
    """End what was shown; if there is more of it by now, show that instead."""
    selection = selection_of({name: visit.form[name] for name in _PARAMETERS if name in visit.form})
    seen = visit.form.get("seen", "")
    require_form(site, visit, person, "end_grants", *_shown(selection, seen))
    chosen = await selected(site, selection)
    if chosen.has_grown_since(seen):
        return await _page(site, person, {}, selection, chosen, grown=True)
    ended = await end(acting(site, visit, person), chosen)
    if len(chosen.grants) <= MOST_ENDED:
        return redirect(leading_to(site, person.session, "/admin/grants", "grants_ended", ended))
    rest = selection.parameters()
    return redirect(leading_to(site, person.session, "/admin/grants/end", "grants_ended", ended, rest))


async def _page(
    site: Site,
    person: Person,
    query: Mapping[str, str],
    selection: Selection,
    chosen: Selected,
    *,
    grown: bool = False,
) -> Response:
    return framed(
        site,
        person,
        "admin/end_grants.html",
        query,
        here="/admin/grants",
        status=409 if grown else 200,
        chosen=chosen,
        first=await connections(site, chosen.grants[:_SHOWN]),
        most_ended=MOST_ENDED,
        grown=grown,
        selection=selection.parameters(),
        csrf=form_token(site, person, "end_grants", *_shown(selection, chosen.seen)),
    )


def _shown(selection: Selection, seen: str) -> list[str]:
    return [*(text for pair in sorted(selection.parameters().items()) for text in pair), seen]


ROUTES: Routes = {"/admin/grants/end": {"GET": freshly(preview), "POST": freshly(confirm, *_PARAMETERS)}}
