"""Changing one's password: it ends every other session and every connection, and this browser stays signed in."""

from __future__ import annotations

from starlette.responses import Response

from ..accounts import MIN_PASSWORD_CHARACTERS
from ..answers import Refusal, redirect
from ..framing import framed
from ..notices import leading_to
from ..people import Person, for_people, form_token, require_form
from ..signing import begin_session
from ..visits import FAILED_SIGN_INS, Routes, Site, Visit


async def show(site: Site, visit: Visit, person: Person) -> Response:
    """The form, which says what a change ends; or why there is none."""
    visit.query()
    return await _page(site, person)


async def change(site: Site, visit: Visit, person: Person) -> Response:
    """Change the password for whoever knows the one that there is."""
    require_form(site, visit, person, "change_password")
    address = site.oauth.client_address(visit.request)
    # Counted with the sign-ins, so that a browser that was left open is no way to more guesses.
    if not await site.throttle.allows(person.user_id, address, visit.now):
        return await _page(site, person, problem="password.waiting", status=429)
    accounts = site.accounts.acting_as(f"user:{person.user_id}", address=address)
    new = visit.form.get("new", "")
    if new != visit.form.get("again", ""):
        return await _page(site, person, problem="password.differ", status=403)
    try:
        changed = await accounts.change_password(person.user_id, visit.form.get("current", ""), new)
    except ValueError:
        return await _page(site, person, problem="password.unfit", status=403)
    if changed is None:
        await site.throttle.count(person.user_id, address, visit.now)
        reason = "wrong current password, at a change of it"
        await site.oauth.tell("sign_in_failed", user_id=person.user_id, address=address, reason=reason)
        return await _page(site, person, problem="password.wrong", status=403)
    await site.throttle.clear(person.user_id, address)
    # The change ended the session of this browser too; nobody who had its id has the new one.
    anonymous, _ = await site.sessions.begin(visit.now)
    begun = await begin_session(site, visit, anonymous, changed)
    if begun is None:
        raise Refusal(403, "signed_out")
    session, cookie = begun
    return redirect(leading_to(site, session, "/account", "password_changed"), cookie=cookie)


async def _page(site: Site, person: Person, *, problem: str | None = None, status: int = 200) -> Response:
    user = await site.accounts.get(person.user_id)
    if user is None:
        raise Refusal(403, "signed_out")
    return framed(
        site,
        person,
        "account/password.html",
        {},
        here="/account/password",
        status=status,
        headers={"Retry-After": str(FAILED_SIGN_INS.window)} if status == 429 else None,
        problem=problem,
        has_password=user.password_hash != "",
        least=MIN_PASSWORD_CHARACTERS,
        csrf=form_token(site, person, "change_password"),
    )


ROUTES: Routes = {"/account/password": {"GET": for_people(show), "POST": for_people(change)}}
