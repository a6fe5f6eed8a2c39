"""Where somebody is signed in: each browser, and its end."""

from __future__ import annotations

from starlette.responses import Response

from ...crypto import equal
from ..answers import Refusal, redirect
from ..framing import framed
from ..notices import leading_to
from ..people import Person, acting, for_people, form_token, require_form
from ..user_agents import browser_of
from ..visits import Routes, Site, Visit


async def show(site: Site, visit: Visit, person: Person) -> Response:
    """Every browser on which this user is signed in, this one first."""
    query = visit.query("done")
    sessions = await site.sessions.of_user(person.user_id, visit.now)
    others = [session for session in sessions if not equal(session.digest, person.session.digest)]
    return framed(
        site,
        person,
        "account/sessions.html",
        query,
        here="/account/sessions",
        sessions=[
            {
                "browser": browser_of(session.user_agent),
                "address": session.address,
                "created_at": session.created_at,
                "expires_at": session.expires_at,
                # Names the session and is the token of its form: nobody else can make one, and it opens nothing.
                "token": form_token(site, person, "end_session", session.digest),
                "is_this": session is person.session,
            }
            for session in (person.session, *others)
        ],
        others=len(others),
        others_csrf=form_token(site, person, "end_other_sessions"),
    )


async def end(site: Site, visit: Visit, person: Person) -> Response:
    """End one other session of this user, or all others."""
    if visit.form.get("sessions") == "others":
        require_form(site, visit, person, "end_other_sessions")
        return await _done(site, visit, person, await site.sessions.end_others(person.user_id, person.session))
    for session in await site.sessions.of_user(person.user_id, visit.now):
        fits = equal(form_token(site, person, "end_session", session.digest).encode(), _token(visit))
        if fits and not equal(session.digest, person.session.digest):
            return await _done(site, visit, person, int(await site.sessions.end_of_user(person.user_id, session)))
    raise Refusal(403, "stale_form")


async def _done(site: Site, visit: Visit, person: Person, ended: int) -> Response:
    if ended:
        oauth = acting(site, visit, person)
        await oauth.tell("session_ended", user_id=person.user_id, reason="user_request", details={"sessions": ended})
    return redirect(leading_to(site, person.session, "/account/sessions", "sessions_ended", ended))


def _token(visit: Visit) -> bytes:
    return visit.form.get("csrf", "").encode("utf-8", "surrogatepass")


ROUTES: Routes = {"/account/sessions": {"GET": for_people(show), "POST": for_people(end)}}
