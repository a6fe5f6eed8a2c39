"""What every page of the account has: who it is of, the way to the others, and the way out."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from ..answers import page
from ..notices import notice_in
from ..people import Person
from ..signing import signout_csrf
from ..visits import Site

_ROUTES = {
    "overview": "/account",
    "connections": "/account/connections",
    "end_connections": "/account/connections",
    "sessions": "/account/sessions",
    "password": "/account/password",
}


def account_page(
    site: Site,
    person: Person,
    template: str,
    query: Mapping[str, str],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: object,
) -> Response:
    """A page of the account; `query` has the notice of what was done before it, if any."""
    document = site.render(
        f"account/{template}.html",
        here=_ROUTES[template],
        user_id=person.user_id,
        signout_csrf=signout_csrf(site, person.session),
        notice=notice_in(site, person.session, query.get("done", "")),
        **context,
    )
    return page(document, status=status, headers=headers)
