"""Who is an operator, and when they may act: with a sign-in that is at most fifteen minutes old."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from ...records import Session
from ..people import Person, PersonHandler, for_people, sign_in_first
from ..returning import is_fresh
from ..visits import Handler, Site, Visit


async def is_operator(site: Site, session: Session | None) -> bool:
    """Whether an operator is signed in. Raises StoreUnavailable."""
    if session is None or session.user_id is None:
        return False
    user = await site.accounts.get(session.user_id)
    return user is not None and user.is_admin and user.disabled_at is None


def freshly(handler: PersonHandler, *parameters: str) -> Handler:
    """A handler for an operator who signed in just now. Others sign in once more, and come back to the page.

    `parameters` are the fields of its form that the page is found again by.
    """

    async def handle(site: Site, visit: Visit, person: Person) -> Response:
        if is_fresh(person.session, visit.now):
            return await handler(site, visit, person)
        if visit.request.method != "POST":
            return sign_in_first(site, visit)
        kept = {name: visit.form[name] for name in parameters if name in visit.form}
        return sign_in_first(site, visit, urlencode(kept))

    return for_people(handle)
