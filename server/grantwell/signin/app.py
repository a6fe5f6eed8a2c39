"""The ASGI application: which page a request is for, and what every request to a page must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .. import OAuthHelpers
from ..crypto import PasswordHasher, SecretKey
from ..errors import ConfigurationError, OAuthError, StoreUnavailable
from ..store import AccountStore
from . import account, admin, assets, authorizing, consenting, signing
from .answers import Refusal, head
from .branding import Branding
from .problems import answer_to
from .rendering import Templates
from .visits import Handler, Routes, Site, Upstream, Visit

# Each has its paths as ROUTES.
_PAGES = (signing, consenting, assets, account)


class SignIn:
    """Sign-in and consent, as the `default_handler` of an `OAuthProvider`, or inside it.

    `store` and `secret_key` are those of the provider. It serves the authorization endpoint, `/signin`, `/consent`,
    `/signout`, `/signin.css`, the pages below `/account`, and for users who are operators those below `/admin`;
    everything else goes to `fallback`. `branding` changes how the pages look and what they say, `upstreams` are those
    to sign in with elsewhere, and without `passwords` that is the only way. Raises ConfigurationError.
    """

    def __init__(
        self,
        store: AccountStore,
        secret_key: SecretKey,
        *,
        hasher: PasswordHasher | None = None,
        fallback: ASGIApp | None = None,
        branding: Branding | None = None,
        upstreams: Sequence[Upstream] = (),
        passwords: bool = True,
    ) -> None:
        self._store = store
        self._secret_key = secret_key
        self._hasher = hasher or PasswordHasher()
        self._fallback = fallback
        self._templates = Templates(branding or Branding())
        self._upstreams = tuple(upstreams)
        if len({upstream.name for upstream in self._upstreams}) < len(self._upstreams):
            raise ConfigurationError("upstreams", "has two of the same name.")
        if not passwords and not self._upstreams:
            raise ConfigurationError("passwords", "must be true where there are no upstreams: nobody could sign in.")
        self._passwords = passwords
        self._site: Site | None = None
        self._routes: Routes = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            site = self._site_of(scope)
            route = site.oauth.route_path(scope)
            handlers = self._routes.get(route) or await _operator_page(site, route, scope)
            if handlers is not None or self._fallback is None:
                return await _serve(site, handlers, scope, receive, send)
        if self._fallback is not None:
            return await self._fallback(scope, receive, send)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        return None

    def _site_of(self, scope: Scope) -> Site:
        """The parts, made at the first request: the provider tells its settings with each."""
        oauth = scope.get("state", {}).get("oauth")
        if not isinstance(oauth, OAuthHelpers):
            raise RuntimeError("SignIn works inside an OAuthProvider, as its default_handler or behind it")
        if self._site is None or self._site.oauth is not oauth:
            self._routes = _routes(oauth.settings.authorize_endpoint, self._upstreams)
            self._site = Site(
                oauth,
                self._store,
                self._secret_key,
                hasher=self._hasher,
                templates=self._templates,
                upstreams=self._upstreams,
                passwords=self._passwords,
            )
        return self._site


def _routes(authorize_endpoint: str, upstreams: Sequence[Upstream]) -> Routes:
    """Every page: what each module and each upstream has under its own paths, and the endpoint of the settings."""
    routes: dict[str, Mapping[str, Handler]] = {}
    for module in _PAGES:
        routes.update(module.ROUTES)
    for upstream in upstreams:
        routes.update(upstream.routes())
    if authorize_endpoint in routes or authorize_endpoint in admin.ROUTES:
        raise ConfigurationError("authorize_endpoint", f"{authorize_endpoint} is a page of grantwell.signin.")
    return routes | {authorize_endpoint: {"GET": authorizing.begin}}


async def _operator_page(site: Site, route: str, scope: Scope) -> Mapping[str, Handler] | None:
    """An operator page, for an operator. To everybody else there is none: what answers is what answers elsewhere."""
    if route not in admin.ROUTES:
        return None
    try:
        session = await site.sessions.find(Request(scope).headers.getlist("cookie"), int(site.settings.clock()))
        return admin.ROUTES[route] if await admin.is_operator(site, session) else None
    except StoreUnavailable:
        return None


async def _serve(
    site: Site, handlers: Mapping[str, Handler] | None, scope: Scope, receive: Receive, send: Send
) -> None:
    request = Request(scope, receive)
    try:
        response = await _answer(site, handlers, request)
    except (Refusal, OAuthError, StoreUnavailable) as error:
        response = answer_to(site, request, error)
    except ClientDisconnect:
        return
    await response(scope, receive, send)


async def _answer(site: Site, handlers: Mapping[str, Handler] | None, request: Request) -> Response:
    if handlers is None:
        raise Refusal(404, "not_found")
    if request.method == "HEAD" and "GET" in handlers:
        return head()
    if request.method not in handlers:
        allowed = [*handlers, *(["HEAD"] if "GET" in handlers else [])]
        raise Refusal(405, "method_not_allowed", {"Allow": ", ".join(allowed)})
    form: ImmutableMultiDict[str, str] = ImmutableMultiDict()
    if request.method == "POST":
        # A browser tells where a form was. `Origin` would not do: with `Referrer-Policy: no-referrer` it is `null`.
        if not set(request.headers.getlist("sec-fetch-site")) <= {"same-origin", "none"}:
            raise Refusal(403, "foreign_form")
        form = await site.oauth.read_form(request, repeatable=("scope",))
    now = int(site.settings.clock())
    session = await site.sessions.find(request.headers.getlist("cookie"), now)
    return await handlers[request.method](site, Visit(request=request, now=now, session=session, form=form))
