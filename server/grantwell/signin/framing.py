"""What every page for people has: whose it is, what was just done, the way out."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from .answers import page
from .notices import notice_in
from .people import Person
from .signing import signout_csrf
from .visits import Site


def framed(
    site: Site,
    person: Person,
    template: str,
    query: Mapping[str, str],
    *,
    here: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: object,
) -> Response:
    """A page for a person. `here` is the route of its tab; `query` has the notice, if there is one."""
    document = site.render(
        template,
        here=here,
        user_id=person.user_id,
        signout_csrf=signout_csrf(site, person.session),
        notice=notice_in(site, person.session, query.get("done", "")),
        **context,
    )
    return page(document, status=status, headers=headers)
