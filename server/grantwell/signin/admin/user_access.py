"""Keeping a user out, after a look at what ends with it, and letting them in again."""

from __future__ import annotations

from starlette.responses import Response

from ...crypto import MacField
from ...records import User
from ..answers import Refusal, redirect
from ..framing import framed
from ..notices import leading_to
from ..people import Person, form_token, require_form
from ..selections import Selected, Selection, selected
from ..visits import Routes, Site, Visit
from .access import freshly
from .users import known_user


async def preview(site: Site, visit: Visit, person: Person) -> Response:
    """What a change would end."""
    user = await known_user(site, visit.query("id").get("id", ""))
    return await _page(site, visit, person, user, await selected(site, Selection(user_id=user.user_id)))


async def change(site: Site, visit: Visit, person: Person) -> Response:
    """Disable the user as they were shown, or enable them; if more would end by now, show that instead."""
    user = await known_user(site, visit.form.get("id", ""))
    seen = visit.form.get("seen", "")
    require_form(site, visit, person, "user_access", *_shown(user, seen))
    if user.user_id == person.user_id:
        raise Refusal(403, "own_access")
    accounts = site.accounts.acting_as(f"user:{person.user_id}", address=site.oauth.client_address(visit.request))
    if user.disabled_at is not None:
        await accounts.enable(user.user_id)
        return redirect(_done(site, person, user, "users_enabled"))
    chosen = await selected(site, Selection(user_id=user.user_id))
    if chosen.has_grown_since(seen):
        return await _page(site, visit, person, user, chosen, grown=True)
    await accounts.disable(user.user_id)
    return redirect(_done(site, person, user, "users_disabled"))


async def _page(
    site: Site, visit: Visit, person: Person, user: User, chosen: Selected, *, grown: bool = False
) -> Response:
    return framed(
        site,
        person,
        "admin/user_access.html",
        {},
        here="/admin/users",
        status=409 if grown else 200,
        user=user,
        is_self=user.user_id == person.user_id,
        chosen=chosen,
        sessions=len(await site.sessions.of_user(user.user_id, visit.now)),
        grown=grown,
        csrf=form_token(site, person, "user_access", *_shown(user, chosen.seen)),
    )


def _shown(user: User, seen: str) -> list[MacField]:
    return [user.user_id, user.version, user.disabled_at is None, seen]


def _done(site: Site, person: Person, user: User, name: str) -> str:
    return leading_to(site, person.session, "/admin/user", name, parameters={"id": user.user_id})


ROUTES: Routes = {"/admin/user/access": {"GET": freshly(preview), "POST": freshly(change, "id")}}
