"""A made-up OpenID Connect issuer on this machine, over a real socket, which lies on request."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.assertions.signing import Key, jwks, new_key, signed
from tests.wire.world import serving

CLIENT_ID = "grantwell"
CLIENT_SECRET = "s3cret+/="
SUBJECT = "Ada-1815"

Claims = dict[str, Any]


@dataclass
class Issuer:
    """What the issuer is like; `lie` and the members after it change what it answers.

    `asked` has the path of each request, `forms` what was sent to the token endpoint.
    """

    origin: str
    clock: Callable[[], float]
    keys: list[Key] = field(default_factory=lambda: [new_key("ES256", "first")])
    claims: Claims = field(default_factory=lambda: {"sub": SUBJECT, "name": "Ada Lovelace"})
    userinfo: Claims | None = None
    says_issuer: bool = True
    expires_in: int | None = 3600
    metadata: dict[str, Any] = field(default_factory=dict)
    lie: dict[str, Callable[[], Response]] = field(default_factory=dict)
    id_token: Callable[[Claims], str] | None = None
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refresh_tokens: set[str] = field(default_factory=set)
    access_tokens: set[str] = field(default_factory=set)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        """Its identifier."""
        return self.origin

    def approve(self, location: str, **changes: str | None) -> str:
        """What its page does for somebody who says yes: where the browser is sent, changed as written (None removes).

        It holds the request against what an issuer checks.
        """
        url = urlsplit(location)
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{self.origin}/authorize"
        asked = dict(parse_qsl(url.query, strict_parsing=True))
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(24)
        self._codes[code] = asked
        answer: dict[str, str | None] = {"code": code, "state": asked["state"]}
        if self.says_issuer:
            answer["iss"] = self.issuer
        answer |= changes
        return f"{asked['redirect_uri']}?{urlencode({k: v for k, v in answer.items() if v is not None})}"

    @property
    def refreshes(self) -> int:
        """How many refreshes were asked for."""
        return sum(form["grant_type"] == "refresh_token" for form in self.forms)

    def app(self) -> Starlette:
        """The server."""
        routes = {
            "/.well-known/openid-configuration": self._discovery,
            "/jwks": self._jwks,
            "/token": self._token,
            "/userinfo": self._userinfo,
            "/elsewhere": self._discovery,
        }
        return Starlette(
            routes=[Route(path, self._heard(ask), methods=["GET", "POST"]) for path, ask in routes.items()]
        )

    def _heard(self, ask: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def heard(request: Request) -> Response:
            path = request.scope["path"]
            self.asked.append(path)
            self.headers.append(dict(request.headers))
            if path == "/token":
                self.forms.append(dict(parse_qsl((await request.body()).decode())))
            if path in self.lie:
                return self.lie[path]()
            answer: Response = await ask(request)
            return answer

        return heard

    async def _discovery(self, request: Request) -> Response:
        document: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "jwks_uri": f"{self.origin}/jwks",
            "userinfo_endpoint": f"{self.origin}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "authorization_response_iss_parameter_supported": self.says_issuer,
        } | self.metadata
        return JSONResponse({k: v for k, v in document.items() if v is not None})

    async def _jwks(self, request: Request) -> Response:
        return JSONResponse(jwks(*self.keys))

    async def _token(self, request: Request) -> Response:
        form = self.forms[-1]
        if not self._is_client(request, form):
            return JSONResponse({"error": "invalid_client"}, 401)
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refresh_tokens:
                return JSONResponse({"error": "invalid_grant"}, 400)
            # Each works once: whoever spends one twice has lost.
            self.refresh_tokens.discard(form["refresh_token"])
            return JSONResponse(self._tokens())
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"] or not _proves(asked, form):
            return JSONResponse({"error": "invalid_grant", "error_description": "<script>alert(1)</script>"}, 400)
        tokens = self._tokens()
        return JSONResponse(tokens | {"id_token": self._id_token(asked, tokens["access_token"])})

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        kind, _, credentials = request.headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            client_id, _, secret = base64.b64decode(credentials).decode().partition(":")
            return (unquote(client_id), unquote(secret)) == (CLIENT_ID, CLIENT_SECRET)
        return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)

    def _tokens(self) -> dict[str, Any]:
        access_token, refresh_token = f"up-at-{secrets.token_hex(12)}", f"up-rt-{secrets.token_hex(12)}"
        self.refresh_tokens.add(refresh_token)
        self.access_tokens.add(access_token)
        tokens = {"access_token": access_token, "refresh_token": refresh_token, "token_type": "Bearer"}
        return tokens if self.expires_in is None else tokens | {"expires_in": self.expires_in}

    def _id_token(self, asked: dict[str, str], access_token: str) -> str:
        now = int(self.clock())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims: Claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return signed(self.keys[-1], claims) if self.id_token is None else self.id_token(claims)

    async def _userinfo(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if (scheme, token in self.access_tokens, self.userinfo is not None) != ("Bearer", True, True):
            return PlainTextResponse("no", 401)
        return JSONResponse(self.userinfo)


def _proves(asked: dict[str, str], form: dict[str, str]) -> bool:
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]


def parameter(location: str, name: str) -> str:
    """A parameter of the address that a browser is sent to."""
    return parse_qs(urlsplit(location).query)[name][0]


def endless(*, pause: float = 0.0) -> Response:
    """An answer that does not come to its end: a flood, or with a pause (in seconds) a trickle."""

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b" " * (8192 if not pause else 1)
            await asyncio.sleep(pause)

    return StreamingResponse(body(), media_type="application/json")


@asynccontextmanager
async def running_issuer(clock: Callable[[], float]) -> AsyncIterator[Issuer]:
    """An issuer that listens, while the body runs."""
    issuer = Issuer("", clock)
    async with serving(issuer.app(), "h11") as port:
        issuer.origin = f"http://127.0.0.1:{port}"
        yield issuer
