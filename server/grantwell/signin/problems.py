"""The pages that say what does not work, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from ..errors import AuthorizationError, OAuthError, StoreUnavailable
from .answers import Refusal, page
from .texts import TEXTS
from .visits import Site

_RETRY_AFTER_SECONDS = "2"
_BY_REASON = {
    "unknown client": "unknown_client",
    "client deleted": "unknown_client",
    "redirect_uri": "redirect_uri",
    "redirect_uri withdrawn": "redirect_uri",
}
_BY_CODE = {"invalid_scope": "permissions", "invalid_target": "permissions"}
_BY_STATUS = {408: "timed_out", 413: "too_large", 429: "too_many", 503: "busy"}


def answer_to(site: Site, request: Request, error: Refusal | OAuthError | StoreUnavailable) -> Response:
    """The page for what a handler raised."""
    match error:
        case Refusal():
            document = _page(site, error.problem, values=error.values, reference=_noted(site, request, error))
            return page(document, status=error.status, headers=error.headers)
        case OAuthError():
            # A body that is no form has no token of ours in it, either.
            status = 403 if error.status == 400 else error.status
            return page(refused(site, request, error), status=status, headers=error.headers)
    document = _page(site, "busy", reference=_noted(site, request, Refusal(503, "busy")))
    return page(document, status=503, headers={"Retry-After": _RETRY_AFTER_SECONDS})


def refused(site: Site, request: Request, error: OAuthError) -> str:
    """What is wrong with a request; with a link to the client, if the browser may be sent there at all."""
    link = None
    if isinstance(error, AuthorizationError) and error.redirect_to is not None:
        link = (error.redirect_to, site.oauth.redirect_host(error.redirect_to.partition("?")[0]))
    return _page(
        site,
        _problem(error),
        link=link,
        code=error.code,
        description=error.description,
        reference=error.reference or _noted(site, request, error),
    )


def _noted(site: Site, request: Request, error: Refusal | OAuthError) -> str:
    """The reference under which a refusal is kept; none for an address where nothing is, which anybody can invent."""
    if error.status in (404, 405):
        return ""
    told = error if isinstance(error, OAuthError) else _told(error)
    return site.oauth.note_refusal(
        endpoint=site.oauth.route_path(request.scope),
        code=told.code,
        description=told.description,
        reason=told.reason,
        status=error.status,
        address=site.oauth.client_address(request),
    )


def _told(refusal: Refusal) -> OAuthError:
    code = "temporarily_unavailable" if refusal.status == 503 else "access_denied"
    return OAuthError(code, TEXTS[f"problem.{refusal.problem}.title"], reason=refusal.reason)


def _problem(error: OAuthError) -> str:
    if error.reason.startswith("the document of"):
        return "document"
    return _BY_REASON.get(error.reason) or _BY_CODE.get(error.code) or _BY_STATUS.get(error.status) or "refused"


def _page(
    site: Site,
    problem: str,
    *,
    values: Mapping[str, object] | None = None,
    link: tuple[str, str] | None = None,
    code: str = "",
    description: str = "",
    reference: str = "",
) -> str:
    return site.render(
        "problem.html",
        problem=problem,
        values=values or {},
        link=link,
        code=code,
        description=description,
        reference=reference,
    )
