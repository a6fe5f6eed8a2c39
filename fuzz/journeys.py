"""What clients and users do, step by step, with right requests; each step tells what the next one needs."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from fuzz.drafts import Draft, Pairs
from fuzz.memory import Memory
from fuzz.pages import forms
from fuzz.server import IDENTITY_PROVIDER, ISSUER, JWT_BEARER, PASSWORD, REDIRECT, RESOURCES, TOKEN_EXCHANGE, USER
from fuzz.wire import Answer

Send = Callable[[Draft], Awaitable[Answer]]

_METHODS = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _jwks() -> dict[str, Any]:
    numbers = _key().public_key().public_numbers()
    x, y = (_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256", "x": x, "y": y}]}


def assertion(client_id: str, random: Random) -> str:
    """A client assertion (RFC 7523 section 3)."""
    return _signed({"alg": "ES256", "kid": "1"}, {"iss": client_id, "sub": client_id}, random)


def identity_assertion(client_id: str, random: Random) -> str:
    """What an identity provider would say of a user (ID-JAG), if it had this key."""
    header = {"alg": "ES256", "kid": "1", "typ": "oauth-id-jag+jwt"}
    return _signed(header, {"iss": IDENTITY_PROVIDER, "sub": "u1", "client_id": client_id, "scope": "read"}, random)


def _signed(header: dict[str, Any], members: dict[str, Any], random: Random) -> str:
    now = int(time.time())
    claims = members | {"aud": ISSUER, "iat": now, "exp": now + 60, "jti": random.randbytes(12).hex()}
    parts = [_base64url(json.dumps(part).encode()) for part in (header, claims)]
    r, s = decode_dss_signature(_key().sign(".".join(parts).encode(), ec.ECDSA(SHA256())))
    return ".".join([*parts, _base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))])


class Traveller:
    """Somebody who does everything right, one request after the other."""

    def __init__(self, memory: Memory, send: Send) -> None:
        self._memory = memory
        self._random = memory.random
        self._send = send

    async def travel(self) -> None:
        """One journey, as far as it gets."""
        if self._random.random() < 0.003:
            await self._guess()
        client = await self._client()
        if client is None:
            return
        grants = client.get("grant_types", ())
        if "client_credentials" in grants:
            fields = [("grant_type", "client_credentials"), ("scope", "read")]
            answer: Answer | None = await self._token(client, fields)
        else:
            answer = await self._granted(client)
        if answer is None or answer.status != 200:
            return
        await self._use(client, json.loads(answer.body))
        if "registration_access_token" in client and self._random.random() < 0.5:
            await self._manage(client)

    async def _guess(self) -> None:
        """What nobody should do: try secrets and passwords from one address until that is refused."""
        headers = [("X-Forwarded-For", self._random.choice(["198.51.100.1", "198.51.100.2", "2001:db8:1::1"]))]
        wrong = {
            "client_id": self._memory.operators_clients[0]["client_id"],
            "client_secret": "gws_x",
            "grant_type": "x",
        }
        for _ in range(110):
            await self._send(Draft(method="POST", path="/token", form=[*wrong.items()], headers=list(headers)))
        for _ in range(12):
            browser = _Browser(self._send)
            await browser.go(Draft(method="GET", path="/signin"))
            await browser.fill_in("/signin", [("username", USER), ("password", "wrong")], headers)

    async def _client(self) -> dict[str, Any] | None:
        random = self._random.random()
        if random < 0.4:
            return await self._register()
        if random < 0.6:
            return self._random.choice(self._memory.operators_clients)
        return self._random.choice(self._memory.clients)

    async def _register(self) -> dict[str, Any] | None:
        method = self._random.choice(_METHODS)
        document: dict[str, Any] = {
            "redirect_uris": self._random.choice([[REDIRECT], ["http://127.0.0.1/cb", REDIRECT], ["cursor://x/y"]]),
            "grant_types": [
                "authorization_code",
                *self._random.choice([["refresh_token"], ["refresh_token", TOKEN_EXCHANGE, JWT_BEARER]]),
            ],
            "token_endpoint_auth_method": method,
            "client_name": self._random.choice(["A client", "Ein Gerät", "<b>", ""]),
            "logo_uri": "https://c1.test/logo.png",
            "client_name#de": "Ein Programm",
            "contacts": ["a@c1.test"],
            "scope": "read write",
            "application_type": "native",
            "software_version": "1",
        }
        if method == "private_key_jwt":
            document |= {"jwks": _jwks(), "token_endpoint_auth_signing_alg": "ES256"}
        for name in [*document]:
            if name not in ("redirect_uris", "jwks") and self._random.random() < 0.2:
                del document[name]
        return self._memory.note_client(await self._send(Draft(method="POST", path="/register", document=document)))

    async def _granted(self, client: dict[str, Any]) -> Answer | None:
        verifier = _base64url(self._random.randbytes(32))
        uri = self._random.choice(client["redirect_uris"])
        location = await self._consent(client, uri, verifier)
        answers = dict(parse_qsl(urlsplit(location).query))
        if not location.startswith(uri) or "code" not in answers:
            return None
        fields = [("grant_type", "authorization_code"), ("code", answers["code"]), ("code_verifier", verifier)]
        if self._random.random() < 0.5:
            fields.append(("redirect_uri", uri))
        return await self._token(client, fields)

    async def _consent(self, client: dict[str, Any], uri: str, verifier: str) -> str:
        """Sign in and allow; where the browser is sent, "" if it does not get there."""
        challenge = _base64url(hashlib.sha256(verifier.encode()).digest())
        query = [("response_type", "code"), ("client_id", client["client_id"]), ("redirect_uri", uri), ("state", "xyz")]
        query += [("code_challenge", challenge), ("code_challenge_method", "S256"), ("scope", "read")]
        query += [("resource", resource) for resource in RESOURCES if self._random.random() < 0.6]
        browser = _Browser(self._send)
        await browser.go(Draft(method="GET", path="/authorize", query=query))
        await browser.follow()
        await browser.fill_in("/signin", [("username", USER), ("password", PASSWORD)])
        await browser.follow()
        decision = "deny" if self._random.random() < 0.1 else "allow"
        await browser.fill_in("/consent", [("decision", decision), ("scope", "read")])
        location = browser.location
        if self._random.random() < 0.2:
            await browser.go(Draft(method="GET", path="/signin"))
            await browser.fill_in("/signout", [])
        return location

    async def _use(self, client: dict[str, Any], tokens: dict[str, Any]) -> None:
        for step in self._random.sample(
            [self._refresh, self._exchange, self._assert, self._introspect, self._revoke], 4
        ):
            await step(client, tokens)

    async def _refresh(self, client: dict[str, Any], tokens: dict[str, Any]) -> None:
        token = tokens.get("refresh_token")
        for _ in range(self._random.randrange(3)):
            if token is None:
                return
            fields = [("grant_type", "refresh_token"), ("refresh_token", token)]
            if self._random.random() < 0.3:
                fields.append(("scope", "read"))
            answer = await self._token(client, fields)
            if answer.status == 200:
                tokens |= json.loads(answer.body)
            if self._random.random() < 0.7:
                token = tokens.get("refresh_token")

    async def _exchange(self, client: dict[str, Any], tokens: dict[str, Any]) -> None:
        fields = [("grant_type", TOKEN_EXCHANGE), ("subject_token", tokens["access_token"])]
        fields += [("subject_token_type", _ACCESS_TOKEN), ("resource", RESOURCES[0])]
        await self._token(client, fields)

    async def _assert(self, client: dict[str, Any], tokens: dict[str, Any]) -> None:
        signed = identity_assertion(client["client_id"], self._random)
        self._memory.values["Assertion"].append(signed)
        await self._token(client, [("grant_type", JWT_BEARER), ("assertion", signed)])

    async def _introspect(self, client: dict[str, Any], tokens: dict[str, Any]) -> None:
        asking = next(one for one in self._memory.operators_clients if one["introspects"])
        await self._post("/introspect", asking, [("token", tokens["access_token"])])

    async def _revoke(self, client: dict[str, Any], tokens: dict[str, Any]) -> None:
        token = tokens.get(self._random.choice(["access_token", "refresh_token"]), "gwa_x")
        await self._post("/revoke", client, [("token", token), ("token_type_hint", "access_token")])

    async def _manage(self, client: dict[str, Any]) -> None:
        path = f"/register/{client['client_id']}"
        headers = [("Authorization", f"Bearer {client['registration_access_token']}")]
        await self._send(Draft(method="GET", path=path, headers=list(headers)))
        left_out = (
            "client_secret_expires_at",
            "client_id_issued_at",
            "registration_access_token",
            "registration_client_uri",
        )
        document = {name: value for name, value in client.items() if name not in left_out}
        await self._send(Draft(method="PUT", path=path, headers=list(headers), document=document))
        if self._random.random() < 0.3:
            await self._send(Draft(method="DELETE", path=path, headers=list(headers)))

    async def _token(self, client: dict[str, Any], fields: Pairs) -> Answer:
        return await self._post("/token", client, fields)

    async def _post(self, path: str, client: dict[str, Any], fields: Pairs) -> Answer:
        """A form of a client that authenticates as it is registered to."""
        headers: Pairs = []
        match client["token_endpoint_auth_method"]:
            case "client_secret_basic":
                credentials = f"{client['client_id']}:{client.get('client_secret')}"
                headers = [("Authorization", f"Basic {base64.b64encode(credentials.encode()).decode()}")]
            case "client_secret_post":
                fields = [
                    *fields,
                    ("client_id", client["client_id"]),
                    ("client_secret", client.get("client_secret") or ""),
                ]
            case "private_key_jwt":
                signed = assertion(client["client_id"], self._random)
                fields = [*fields, ("client_assertion_type", _ASSERTION_TYPE), ("client_assertion", signed)]
                self._memory.values["Assertion"].append(signed)
            case _:
                fields = [*fields, ("client_id", client["client_id"])]
        return await self._send(Draft(method="POST", path=path, form=fields, headers=headers))


class _Browser:
    """A browser: a cookie, and the page that it shows."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._cookie = ""
        self._page: Answer | None = None

    @property
    def location(self) -> str:
        """Where the last answer sends it, "" if nowhere."""
        return "" if self._page is None else self._page.header("location") or ""

    async def go(self, draft: Draft) -> None:
        """Send a request with the cookie."""
        if self._cookie:
            draft.headers.append(("Cookie", self._cookie))
        self._page = await self._send(draft)
        given = (self._page.header("set-cookie") or "").partition(";")[0]
        self._cookie = given or self._cookie

    async def follow(self) -> None:
        """Go where the last answer sends it, if that is a page of the server."""
        while self.location.startswith("/"):
            parts = urlsplit(self.location)
            await self.go(Draft(method="GET", path=parts.path, query=parse_qsl(parts.query)))

    async def fill_in(self, action: str, fields: Pairs, more: Iterable[tuple[str, str]] = ()) -> None:
        """Send the form of the page that goes to this path, if it has one, with `more` headers."""
        shown = "" if self._page is None else self._page.body.decode("utf-8", "replace")
        hidden = dict(forms(shown)).get(action)
        if hidden is not None:
            headers = [("Sec-Fetch-Site", "same-origin"), ("Origin", "null"), *more]
            await self.go(Draft(method="POST", path=action, form=[*hidden, *fields], headers=headers))
