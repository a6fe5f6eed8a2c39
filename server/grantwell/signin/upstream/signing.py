"""Signing in elsewhere: the way there, from a form of ours, and the way back, which is gone once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response

from ...records import Session
from ..answers import Refusal, redirect
from ..returning import destination
from ..signing import begin_session, checked_form
from ..visits import FAILED_SIGN_INS, Routes, Site, Visit
from .attempts import Attempt, Goal
from .failures import TRANSIENT_CODES, NotAdmitted, UpstreamRefusal, UpstreamUnavailable
from .identity import Identity, user_id_of

if TYPE_CHECKING:
    from .upstream import Upstream

_RETRY_AFTER_SECONDS = "5"


def routes_of(upstream: Upstream) -> Routes:
    """The two pages of an upstream: the way there and the way back."""

    async def leave(site: Site, visit: Visit) -> Response:
        return await _leave(upstream, site, visit)

    async def come_back(site: Site, visit: Visit) -> Response:
        return await _come_back(upstream, site, visit)

    return {f"/signin/with/{upstream.name}": {"POST": leave}, _way_back(upstream): {"GET": come_back}}


async def begin(
    upstream: Upstream, site: Site, visit: Visit, session: Session, *, interaction_id: str, to: str, is_fresh: bool
) -> Response:
    """Send the browser to the upstream; whoever comes back from there goes on to the request or the page."""
    goal = Goal(upstream=upstream.name, interaction_id=interaction_id, to=to, is_fresh=is_fresh, started_at=visit.now)
    state = await site.attempts.open(goal.encoded(), session, visit.now)
    if state is None:
        raise Refusal(403, "nothing_to_answer")
    try:
        return redirect(await upstream.authorization_url(_attempt(upstream, site, goal, state), visit.now))
    except UpstreamUnavailable as error:
        raise _unavailable(upstream, error) from error


async def _leave(upstream: Upstream, site: Site, visit: Visit) -> Response:
    """The button of the sign-in page was pressed."""
    session, pending = await checked_form(site, visit)
    to = destination(text) if (text := visit.form.get("to", "")) else ""
    if to is None:
        raise Refusal(400, "bad_address")
    # Whoever has signed in already and is asked to do it once more has to do it there once more, too.
    is_fresh = bool(to) and session.user_id is not None if pending is None else pending.needs_sign_in
    interaction_id = "" if pending is None else pending.id
    return await begin(upstream, site, visit, session, interaction_id=interaction_id, to=to, is_fresh=is_fresh)


async def _come_back(upstream: Upstream, site: Site, visit: Visit) -> Response:
    """Somebody comes back: it has to be who went, from where they went to, for the first time (RFC 9700 4.7)."""
    answer = _parameters(visit)
    session, state = visit.session, answer.get("state", "")
    pending = None if session is None else await site.attempts.find(state, session, visit.now)
    # Closed before anything else is looked at, so that no answer is looked at twice.
    if session is None or pending is None or not await site.attempts.close(pending, visit.now):
        raise Refusal(403, "nothing_to_answer")
    goal = Goal.decoded(pending.request)
    address = site.oauth.client_address(visit.request)
    if not await site.throttle.allows(_way_back(upstream), address, visit.now):
        raise Refusal(429, "too_many", {"Retry-After": str(FAILED_SIGN_INS.window)})
    try:
        if goal.upstream != upstream.name:
            raise UpstreamRefusal("mix_up", f"the question was to {goal.upstream}")
        identity = await _identity(upstream, answer, _attempt(upstream, site, goal, state), visit.now)
        return await _sign_in(upstream, site, visit, session, goal, identity)
    except UpstreamUnavailable as error:
        raise _unavailable(upstream, error) from error
    except NotAdmitted as error:
        await _tell_failure(upstream, site, address, "upstream_not_admitted", error.user_id)
        raise _refusal(upstream, "upstream_not_admitted", error) from error
    except UpstreamRefusal as error:
        if error.code == "access_denied":
            raise _refusal(upstream, "upstream_denied", error) from error
        if "code" in answer:
            # It cost a question to the upstream.
            await site.throttle.count(_way_back(upstream), address, visit.now)
        await _tell_failure(upstream, site, address, "upstream_failed", None)
        raise _refusal(upstream, "upstream_failed", error) from error


async def _identity(upstream: Upstream, answer: Mapping[str, str], attempt: Attempt, now: int) -> Identity:
    # RFC 9207 section 2.4: before the code goes anywhere, and for errors as well.
    await upstream.check_issuer(answer.get("iss"), now)
    if answer.get("error") in TRANSIENT_CODES:
        raise UpstreamUnavailable(f"it sent the browser back with {answer['error']}")
    if "error" in answer:
        raise UpstreamRefusal(answer["error"], "the upstream sent the browser back with an error")
    if not answer.get("code"):
        raise UpstreamRefusal("invalid_request", "the answer has neither a code nor an error")
    return await upstream.identify(answer["code"], attempt, now)


async def _sign_in(
    upstream: Upstream, site: Site, visit: Visit, session: Session, goal: Goal, identity: Identity
) -> Response:
    user_id = user_id_of(upstream.name, identity.subject)
    user = await site.accounts.sign_in_upstream(user_id, name=identity.name)
    secret = None if identity.tokens is None else json.dumps(identity.tokens.members()).encode()
    begun = None if user is None else await begin_session(site, visit, session, user, secret=secret)
    if begun is None:
        raise NotAdmitted("the user is disabled, or the session ended meanwhile", user_id=user_id)
    if goal.interaction_id:
        return redirect(f"{site.path('/consent')}?i={goal.interaction_id}", cookie=begun[1])
    return redirect(site.path(goal.to or "/signin"), cookie=begun[1])


async def _tell_failure(upstream: Upstream, site: Site, address: str | None, problem: str, user_id: str | None) -> None:
    details = {"upstream": upstream.name}
    await site.oauth.tell("sign_in_failed", user_id=user_id, address=address, reason=problem, details=details)


def _attempt(upstream: Upstream, site: Site, goal: Goal, state: str) -> Attempt:
    redirect_uri = f"{site.settings.issuer_url.origin}{site.path(_way_back(upstream))}"
    return Attempt.of(site.keyring, goal, state=state, redirect_uri=redirect_uri)


def _way_back(upstream: Upstream) -> str:
    # One for each upstream: so an answer of one is never taken for that of another (RFC 9700 section 4.4.2.2).
    return f"/signin/back/{upstream.name}"


def _parameters(visit: Visit) -> Mapping[str, str]:
    """What the upstream says, which may be more than we know; but nothing twice."""
    parameters = visit.request.query_params.multi_items()
    if len({name for name, _ in parameters}) != len(parameters):
        raise Refusal(400, "bad_address")
    return dict(parameters)


def _refusal(upstream: Upstream, problem: str, error: NotAdmitted | UpstreamRefusal) -> Refusal:
    """The page has words of ours alone; the reason may have some of the upstream's."""
    return Refusal(403, problem, reason=f"upstream {upstream.name}: {error}", provider=upstream.label)


def _unavailable(upstream: Upstream, error: UpstreamUnavailable) -> Refusal:
    headers = {"Retry-After": _RETRY_AFTER_SECONDS}
    reason = f"upstream {upstream.name}: {error}"
    return Refusal(503, "upstream_unavailable", headers, reason=reason, provider=upstream.label)
