"""FastAPI: `Security(oauth, scopes=["notes:read"])` gives the caller, and the Authorize button of `/docs` works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import FastAPI, HTTPException, Request
from fastapi.openapi.docs import get_swagger_ui_html, get_swagger_ui_oauth2_redirect_html
from fastapi.openapi.models import OAuthFlowAuthorizationCode, OAuthFlows
from fastapi.responses import HTMLResponse
from fastapi.security import OAuth2, SecurityScopes
from starlette.requests import HTTPConnection

from .. import InsufficientScope, OAuthHelpers, Principal, require_scopes

__all__ = ["OAuth", "add_docs"]

# Tells the client of a page from any other that was given the same id.
_SOFTWARE = "grantwell.integrations.fastapi"


class OAuth(OAuth2):
    """The security scheme of an API below a protected prefix of an `OAuthProvider`, to be used with `Security`.

    `issuer` and the endpoints are those of the provider; `scopes` maps each scope to a description. As a dependency it
    gives the `Principal`. A token without the scopes that `Security` names is answered by 403, with a challenge that
    names all that the operation needs. Behind a `ResourceServer` it works as well; `issuer` is then the server that
    issues the tokens.
    """

    def __init__(
        self,
        issuer: str,
        scopes: Mapping[str, str],
        *,
        authorize_endpoint: str = "/authorize",
        token_endpoint: str = "/token",  # noqa: S107
        scheme_name: str = "OAuth",
        description: str | None = None,
    ) -> None:
        flow = OAuthFlowAuthorizationCode(
            authorizationUrl=issuer + authorize_endpoint,
            tokenUrl=issuer + token_endpoint,
            refreshUrl=issuer + token_endpoint,
            scopes=dict(scopes),
        )
        super().__init__(flows=OAuthFlows(authorizationCode=flow), scheme_name=scheme_name, description=description)
        self.scopes = dict(scopes)

    async def __call__(  # type: ignore[override]  # FastAPI calls it with what its signature asks for
        self, connection: HTTPConnection, security_scopes: SecurityScopes
    ) -> Principal:
        """Who calls. Raises InsufficientScope, and LookupError for a call that did not come through the guard."""
        try:
            return require_scopes(*security_scopes.scopes)
        except InsufficientScope:
            return require_scopes(*_of_operation(connection, self.scheme_name, security_scopes.scopes))


def _of_operation(connection: HTTPConnection, scheme: str, found: Sequence[str]) -> tuple[str, ...]:
    """All scopes of the running operation, those that its other dependencies need too, as OpenAPI has them."""
    route, app = connection.scope.get("route"), connection.scope.get("app")
    if not isinstance(app, FastAPI):
        return tuple(found)
    path = app.openapi().get("paths", {}).get(getattr(route, "path_format", ""), {})
    operation = path.get(connection.scope.get("method", "").lower(), {})
    scopes = [scope for needed in operation.get("security", ()) for scope in needed.get(scheme, ())]
    return tuple(dict.fromkeys([*found, *scopes]))


def add_docs(app: FastAPI, *, path: str = "/docs", client_id: str = "docs", scopes: Sequence[str] = ()) -> None:
    """Serve Swagger UI at `path`, with an Authorize button that signs in with PKCE.

    `app` is made with `docs_url=None`, and `path` lies outside of the protected prefixes: `SignIn(…, fallback=app)`
    serves it. The page is a public client of the provider, which is made with `client_id` when it is first opened, as
    an operator would make it; `scopes` are ticked from the start. Raises ValueError for an app with a `docs_url`.
    """
    if app.docs_url is not None or app.openapi_url is None:
        raise ValueError("make the application with docs_url=None, and with an openapi_url")
    openapi_url, back = app.openapi_url, f"{path}/oauth2-redirect"

    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        await _make_client(_helpers(request), client_id, back, app.title)
        return get_swagger_ui_html(
            openapi_url=root + openapi_url,
            title=app.title,
            oauth2_redirect_url=root + back,
            init_oauth={
                "clientId": client_id,
                "scopes": list(scopes),
                "usePkceWithAuthorizationCodeGrant": True,
            },
        )

    async def returned(request: Request) -> HTMLResponse:
        return get_swagger_ui_oauth2_redirect_html()

    app.add_route(path, docs, include_in_schema=False)
    app.add_route(back, returned, include_in_schema=False)


def _helpers(request: Request) -> OAuthHelpers:
    oauth = getattr(request.state, "oauth", None)
    if not isinstance(oauth, OAuthHelpers):
        raise HTTPException(404)
    return oauth


async def _make_client(oauth: OAuthHelpers, client_id: str, back: str, title: str) -> None:
    """Make the client of the page, unless there is one; it follows an issuer that has moved."""
    metadata = {
        "client_name": f"{title}: documentation",
        "software_id": _SOFTWARE,
        "redirect_uris": [oauth.settings.url(back)],
        "token_endpoint_auth_method": "none",
    }
    client = await oauth.lookup_client(client_id)
    if client is None:
        try:
            await oauth.create_client(metadata, client_id=client_id)
        except Exception:
            # Another process may have been first; its client is as good.
            if await oauth.lookup_client(client_id) is None:
                raise
    elif client.metadata.get("software_id") != _SOFTWARE:
        raise ValueError(f"the client {client_id!r} is something else; give add_docs another client_id")
    elif list(client.redirect_uris) != metadata["redirect_uris"]:
        await oauth.update_client(client_id, {"redirect_uris": metadata["redirect_uris"]})
