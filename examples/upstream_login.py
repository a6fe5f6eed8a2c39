"""People sign in with your identity provider, and the API asks another one in their name.

Run it with the names of your provider: `UPSTREAM_ISSUER=… UPSTREAM_CLIENT_ID=… UPSTREAM_CLIENT_SECRET=… uvicorn
examples.upstream_login:app`, after `grantwell migrate --database-url sqlite+aiosqlite:///upstream_login.db`. Register
`http://127.0.0.1:8000/signin/back/corp` there as the redirect URI.
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from grantwell import OAuthProvider, Resource, SecretKey, current_principal, require_scopes
from grantwell.signin import SignIn
from grantwell.signin.upstream import OIDC, UpstreamTokens
from grantwell_storage import SQLStore

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER", "."))
UPSTREAM = os.environ["UPSTREAM_ISSUER"]


async def profile(request: Request) -> JSONResponse:
    """What the provider says of the caller, asked with the caller's own token there."""
    require_scopes("profile:read")
    caller = current_principal()
    headers = {"Authorization": f"Bearer {caller.props['upstream']['access_token']}"}
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{UPSTREAM}/userinfo", headers=headers)
    return JSONResponse({"user": caller.user_id, "there": answer.json()}, answer.status_code)


store = SQLStore(f"sqlite+aiosqlite:///{FOLDER / 'upstream_login.db'}")
key = SecretKey.file(FOLDER / "upstream_login.key")
upstreams = [
    OIDC(
        "corp",
        UPSTREAM,
        os.environ["UPSTREAM_CLIENT_ID"],
        os.environ["UPSTREAM_CLIENT_SECRET"],
        label="Example Corp",
        scopes=["openid", "profile", "offline_access"],
        everybody=True,  # whoever the provider signs in; or allowed_domains, allowed_groups
        keep_tokens=True,
    )
]
app = OAuthProvider(
    issuer="http://127.0.0.1:8000",
    store=store,
    secret_key=key,
    api_handlers={"/api": Starlette(routes=[Route("/api/profile", profile)])},
    default_handler=SignIn(store, key, upstreams=upstreams, passwords=False),
    resources={"/api": Resource(scopes={"profile:read": "See your profile"}, name="Profiles")},
    token_exchange_callback=UpstreamTokens(upstreams),
)
