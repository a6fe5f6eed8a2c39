"""Signing in and out: by name and password, under a new session id each time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from starlette.responses import Response

from ..crypto import MacField, equal
from ..records import Session, User
from .answers import Refusal, page, redirect
from .interactions import Pending
from .returning import destination, suffices
from .visits import FAILED_SIGN_INS, Routes, Site, Visit

log = logging.getLogger("grantwell")


async def show(site: Site, visit: Visit) -> Response:
    """The form; or, without a request to answer or a page to go to, whether somebody is signed in."""
    query = visit.query("i", "signed_out", "to")
    interaction_id, to = query.get("i", ""), _destination(query.get("to", ""))
    session, cookie, pending = visit.session, None, None
    if interaction_id:
        pending = await _pending(site, visit, interaction_id)
        if visit.user_id is not None and not pending.needs_sign_in:
            return redirect(f"{site.path('/consent')}?i={interaction_id}")
    elif to:
        if suffices(session, to, visit.now):
            return redirect(site.path(to))
    elif session is not None and session.user_id is not None:
        csrf = signout_csrf(site, session)
        return page(site.render("signed_in.html", user_id=session.user_id, signout_csrf=csrf))
    elif "signed_out" in query:
        return page(site.render("signed_out.html"))
    if session is None:
        session, cookie = await site.sessions.begin(visit.now)
    form = await _form(site, session, pending, to)
    return page(form(username=session.user_id or ""), cookie=cookie)


async def sign_in(site: Site, visit: Visit) -> Response:
    """Sign in with what was typed; whatever is wrong with it, the answer is the same."""
    if not site.passwords:
        raise Refusal(404, "not_found")
    to = _destination(visit.form.get("to", ""))
    session, pending = await checked_form(site, visit)
    name = visit.form.get("username", "")
    address = site.oauth.client_address(visit.request)
    form = (await _form(site, session, pending, to))(username=name, failed=True)
    if not await site.throttle.allows(name.lower(), address, visit.now):
        await _tell_failure(site, name, address, "too many failures; the password was not looked at")
        return page(form, status=429, headers={"Retry-After": str(FAILED_SIGN_INS.window)})
    user = await site.accounts.authenticate(name, visit.form.get("password", ""))
    begun = None if user is None else await begin_session(site, visit, session, user)
    if begun is None:
        await _tell_failure(site, name, address, "wrong name or password, or disabled")
        await site.throttle.count(name.lower(), address, visit.now)
        return page(form, status=403)
    await site.throttle.clear(name.lower(), address)
    target = f"{site.path('/consent')}?i={pending.id}" if pending is not None else site.path(to or "/signin")
    return redirect(target, cookie=begun[1])


async def sign_out(site: Site, visit: Visit) -> Response:
    """End the session. A request named by the form stays open, for somebody else who signs in on this browser."""
    session = visit.session
    if session is None or not site.keyring.csrf_token_fits(_signout_fields(session), visit.form.get("csrf", "")):
        raise Refusal(403, "foreign_form")
    pending = await site.interactions.find(visit.form.get("i", ""), session, visit.now)
    # Closed first, so that it cannot be answered by the one who leaves and by the one who comes.
    kept = pending if pending is not None and await site.interactions.close(pending, visit.now) else None
    removal = await site.sessions.end(session)
    if session.user_id is not None:
        address = site.oauth.client_address(visit.request)
        await site.oauth.tell("signed_out", user_id=session.user_id, actor=f"user:{session.user_id}", address=address)
    if kept is None:
        return redirect(f"{site.path('/signin')}?signed_out=1", cookie=removal)
    successor, cookie = await site.sessions.begin(visit.now)
    moved = await site.interactions.move(kept, successor, visit.now)
    return redirect(f"{site.path('/signin')}?i={moved or ''}", cookie=cookie)


async def checked_form(site: Site, visit: Visit) -> tuple[Session, Pending | None]:
    """The browser's session, and the request to answer if there is one, of a form that the sign-in page sent.

    Raises Refusal for any other form, and AuthorizationError if the client is gone.
    """
    session, interaction_id = visit.session, visit.form.get("i", "")
    if session is None:
        raise Refusal(403, "foreign_form")
    pending = await _pending(site, visit, interaction_id) if interaction_id else None
    fields = _csrf_fields(session, pending, await _application(site, pending))
    if not site.keyring.csrf_token_fits(fields, visit.form.get("csrf", "")):
        raise Refusal(403, "foreign_form")
    return session, pending


def signout_csrf(site: Site, session: Session) -> str:
    """The token of a form that signs out."""
    return site.keyring.csrf_token(_signout_fields(session))


def _destination(text: str) -> str:
    """The page of ours to go on to, or nothing."""
    to = destination(text) if text else ""
    if to is None:
        raise Refusal(400, "bad_address")
    return to


async def _pending(site: Site, visit: Visit, interaction_id: str) -> Pending:
    pending = None
    if visit.session is not None:
        pending = await site.interactions.find(interaction_id, visit.session, visit.now)
    if pending is None:
        raise Refusal(403, "nothing_to_answer")
    return pending


async def begin_session(
    site: Site, visit: Visit, replaced: Session, user: User, *, secret: bytes | None = None
) -> tuple[Session, str] | None:
    """A new session for a user who proved who they are, and its Set-Cookie; None if they may not sign in any more.

    `secret` is what the session keeps for this browser alone to have opened again.
    """
    signed_in = await site.sessions.sign_in(
        replaced,
        user,
        visit.now,
        user_agent=visit.request.headers.get("user-agent"),
        address=site.oauth.client_address(visit.request),
        secret=secret,
    )
    if signed_in is None:
        return None
    session, _ = signed_in
    # A password that was changed since it was checked has ended the sessions that there were, but not yet this one.
    current = await site.accounts.get(user.user_id)
    if current is None or not equal(current.password_hash.encode(), user.password_hash.encode()):
        await site.sessions.end(session)
        return None
    await site.oauth.tell(
        "signed_in",
        user_id=user.user_id,
        actor=f"user:{user.user_id}",
        address=session.address,
        details={"user_agent": session.user_agent},
    )
    return signed_in


async def _tell_failure(site: Site, name: str, address: str | None, reason: str) -> None:
    # What is nobody's name is not kept: people type passwords into that field.
    user = await site.accounts.get(name)
    user_id = None if user is None else user.user_id
    await site.oauth.tell("sign_in_failed", user_id=user_id, address=address, reason=reason)


async def _form(site: Site, session: Session, pending: Pending | None, to: str) -> Callable[..., str]:
    """The page to sign in on, which wants `username` and `failed`; it names who asks. Raises AuthorizationError."""
    application = await _application(site, pending)
    return partial(
        site.render,
        "signin.html",
        csrf=site.keyring.csrf_token(_csrf_fields(session, pending, application)),
        interaction_id="" if pending is None else pending.id,
        to=to,
        again=session.user_id is not None,
        application=application,
        failed=False,
        passwords=site.passwords,
        upstreams=site.upstreams,
    )


async def _application(site: Site, pending: Pending | None) -> str:
    """What to call the application that asks, if one does. Raises AuthorizationError if it is gone."""
    if pending is None:
        return ""
    client = (await site.oauth.load_authorization_request(pending.request)).client
    return client.name or client.client_id


def _csrf_fields(session: Session, pending: Pending | None, application: str) -> list[MacField]:
    # With the name, which is a stranger's: who varies what stands beside the token varies the token.
    return ["signin", session.digest, "" if pending is None else pending.id, application]


def _signout_fields(session: Session) -> list[MacField]:
    return ["signout", session.digest]


ROUTES: Routes = {"/signin": {"GET": show, "POST": sign_in}, "/signout": {"POST": sign_out}}
