"""The authorization endpoint for browsers: a valid request is kept, and its user asked (OAuth 2.1 section 4.1)."""

from __future__ import annotations

from starlette.responses import Response

from ..errors import AuthorizationError, StoreUnavailable
from ..records import Session
from .answers import page, redirect
from .interactions import INTERACTION_SECONDS
from .problems import refused
from .visits import Site, Visit


async def begin(site: Site, visit: Visit) -> Response:
    """Remember the request of a client, and send its user to sign in or to consent."""
    try:
        request = await site.oauth.parse_authorization_request(visit.request)
    except AuthorizationError as error:
        return _error(site, visit, error, may_redirect=error.trusted or visit.user_id is not None)
    prompts = frozenset(visit.request.query_params.get("prompt", "").split(" "))
    if "none" in prompts:
        code, text = ("interaction_required", "The user has to be asked.")
        if visit.user_id is None:
            code, text = ("login_required", "The user has to sign in.")
        refusal = await site.oauth.refuse_authorization(request, code, text)
        return _error(site, visit, refusal, may_redirect=refusal.trusted)
    session, cookie = await _browser(site, visit)
    fresh_sign_in = "login" in prompts and session.user_id is not None
    opened = await site.interactions.open(request.encoded(), session, visit.now, fresh_sign_in=fresh_sign_in)
    if opened is None:
        raise StoreUnavailable("the session ended meanwhile")
    asks = session.user_id is not None and not fresh_sign_in
    return redirect(f"{site.path('/consent' if asks else '/signin')}?i={opened}", cookie=cookie)


async def _browser(site: Site, visit: Visit) -> tuple[Session, str | None]:
    """The browser's session, or a new one if it would end before the request does."""
    session = visit.session
    if session is not None and session.expires_at >= visit.now + INTERACTION_SECONDS:
        return session, None
    return await site.sessions.begin(visit.now)


def _error(site: Site, visit: Visit, error: AuthorizationError, *, may_redirect: bool) -> Response:
    """Tell the client, if it is certain that this is no way to send people anywhere; or the user (RFC 9700 4.11.2)."""
    if error.redirect_to is not None and may_redirect:
        return redirect(error.redirect_to)
    return page(refused(site, visit.request, error), status=error.status, headers=error.headers)
