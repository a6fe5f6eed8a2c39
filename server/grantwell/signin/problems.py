"""The pages that say what does not work, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from ..errors import AuthorizationError, OAuthError, StoreUnavailable
from .answers import Refusal, page
from .visits import Site

_RETRY_AFTER_SECONDS = "2"


def answer_to(site: Site, error: Refusal | OAuthError | StoreUnavailable) -> Response:
    """The page for what a handler raised."""
    match error:
        case Refusal():
            return page(_problem(site, error.problem, error.values), status=error.status, headers=error.headers)
        case AuthorizationError():
            return page(_problem(site, "refused", {"description": error.description}), status=403)
        case OAuthError():
            # A body that is no form has no token of ours in it, either.
            status = 403 if error.status == 400 else error.status
            return page(_problem(site, "refused", {"description": error.description}), status=status)
    return page(_problem(site, "busy"), status=503, headers={"Retry-After": _RETRY_AFTER_SECONDS})


def refused(site: Site, error: AuthorizationError) -> str:
    """What is wrong with a client's request; with a link to the client, if the browser may be sent there at all."""
    if error.redirect_to is None:
        return _problem(site, "refused", {"description": error.description})
    host = site.oauth.redirect_host(error.redirect_to.partition("?")[0])
    return _problem(site, "refused", {"description": error.description}, link=(error.redirect_to, host))


def _problem(
    site: Site, problem: str, values: Mapping[str, object] | None = None, *, link: tuple[str, str] | None = None
) -> str:
    return site.render("problem.html", problem=problem, values=values or {}, link=link)
