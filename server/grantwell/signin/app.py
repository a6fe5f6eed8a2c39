"""The ASGI application: which page a request is for, and what every request to a page must be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .. import OAuthHelpers
from ..crypto import PasswordHasher, SecretKey
from ..errors import AuthorizationError, ConfigurationError, OAuthError, StoreUnavailable
from ..store import AccountStore
from . import authorizing, consenting, pages, signing, texts
from .answers import Refusal, head, page, stylesheet
from .visits import Site, Visit

_Handler = Callable[[Site, Visit], Awaitable[Response]]

_RETRY_AFTER_SECONDS = "2"


class SignIn:
    """Sign-in and consent, as the `default_handler` of an `OAuthProvider`, or inside it.

    `store` and `secret_key` are those of the provider. It serves the authorization endpoint, `/signin`, `/consent`,
    `/signout` and `/signin.css`; everything else goes to `fallback`.
    """

    def __init__(
        self,
        store: AccountStore,
        secret_key: SecretKey,
        *,
        hasher: PasswordHasher | None = None,
        fallback: ASGIApp | None = None,
    ) -> None:
        self._store = store
        self._secret_key = secret_key
        self._hasher = hasher or PasswordHasher()
        self._fallback = fallback
        self._site: Site | None = None
        self._routes: Mapping[str, Mapping[str, _Handler]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            site = self._site_of(scope)
            handlers = self._routes.get(site.oauth.route_path(scope))
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
            self._routes = _routes(oauth.settings.authorize_endpoint)
            self._site = Site(oauth, self._store, self._secret_key, self._hasher)
        return self._site


def _routes(authorize_endpoint: str) -> Mapping[str, Mapping[str, _Handler]]:
    routes: dict[str, Mapping[str, _Handler]] = {
        "/signin": {"GET": signing.show, "POST": signing.sign_in},
        "/consent": {"GET": consenting.show, "POST": consenting.answer},
        "/signout": {"POST": signing.sign_out},
        "/signin.css": {"GET": _stylesheet},
    }
    if authorize_endpoint in routes:
        raise ConfigurationError("authorize_endpoint", f"{authorize_endpoint} is a page of grantwell.signin.")
    return {authorize_endpoint: {"GET": authorizing.begin}, **routes}


async def _stylesheet(site: Site, visit: Visit) -> Response:
    return stylesheet()


async def _serve(
    site: Site, handlers: Mapping[str, _Handler] | None, scope: Scope, receive: Receive, send: Send
) -> None:
    request = Request(scope, receive)
    try:
        response = await _answer(site, handlers, request)
    except Refusal as refusal:
        response = page(pages.problem(site.places, refusal.text), status=refusal.status, headers=refusal.headers)
    except AuthorizationError as error:
        response = page(pages.problem(site.places, error.description), status=403)
    except OAuthError as error:
        # A body that is no form has no token of ours in it, either.
        status = 403 if error.status == 400 else error.status
        response = page(pages.problem(site.places, error.description), status=status)
    except StoreUnavailable:
        headers = {"Retry-After": _RETRY_AFTER_SECONDS}
        response = page(pages.problem(site.places, texts.BUSY), status=503, headers=headers)
    except ClientDisconnect:
        return
    await response(scope, receive, send)


async def _answer(site: Site, handlers: Mapping[str, _Handler] | None, request: Request) -> Response:
    if handlers is None:
        raise Refusal(404, texts.NOT_FOUND)
    if request.method == "HEAD" and "GET" in handlers:
        return head()
    if request.method not in handlers:
        allowed = [*handlers, *(["HEAD"] if "GET" in handlers else [])]
        raise Refusal(405, texts.METHOD_NOT_ALLOWED, {"Allow": ", ".join(allowed)})
    form: ImmutableMultiDict[str, str] = ImmutableMultiDict()
    if request.method == "POST":
        # A browser tells where a form was. `Origin` would not do: with `Referrer-Policy: no-referrer` it is `null`.
        if not set(request.headers.getlist("sec-fetch-site")) <= {"same-origin", "none"}:
            raise Refusal(403, texts.FOREIGN_FORM)
        form = await site.oauth.read_form(request, repeatable=("scope",))
    now = int(site.settings.clock())
    session = await site.sessions.find(request.headers.getlist("cookie"), now)
    return await handlers[request.method](site, Visit(request=request, now=now, session=session, form=form))
