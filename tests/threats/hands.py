"""What the requests of one case are made of: clients, codes and tokens, made when a text first names them.

A text names them between angle quotes: «C1» is the id of that client, «K1 secret» its secret, «code», «access»,
«refresh» and «verifier» belong to the client of the case, «refresh of C2» to another one, «refresh 1» is the first of
a chain. «forged code» names the right grant with a secret of its own. «3×ab» is ababab. «base64 x», «sha256 x» and
«percent x» encode what follows, which may hold names as well.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grantwell._protocol.tokens import format_access_token, format_code, format_refresh_token
from grantwell.crypto import digest_of
from tests.threats.actors import CLIENTS, SELF_REGISTERED
from tests.threats.arena import Arena
from tests.threats.catalogue import Variant
from tests.threats.exchanges import Answer
from tests.threats.oracles import check_live_refresh_tokens
from tests.wire.world import R1, Pkce

_NAME = re.compile("«([^«»]*)»")
_GRANT_ID = slice(4, 20)


@dataclass
class Credentials:
    """What one client was issued in a case."""

    code: str = ""
    access: list[str] = field(default_factory=list)
    refresh: list[str] = field(default_factory=list)
    code_was_spent: bool = False


class Hand:
    """What one case, or some variants of it, hold. `grant` of a case changes the request behind its codes."""

    def __init__(self, arena: Arena, variant: Variant) -> None:
        self.arena = arena
        self.client_name = variant.client
        self.it = variant.it
        self._variant = variant
        self._grant = dict(variant.grant)
        self.pkce = Pkce(self._grant.pop("verifier")) if "verifier" in self._grant else Pkce()
        self._first_secret = len(arena.canaries)
        self._clients: dict[str, dict[str, Any]] = {}
        self._codes: dict[str, Credentials] = {}
        self._tokens: dict[str, Credentials] = {}
        self._cookie = ""
        self._consent: dict[str, str] = {}
        self._has_happened = False
        if "verifier" not in variant.grant:
            arena.canaries.note("verifier", self.pkce.verifier)

    def suits(self, variant: Variant) -> bool:
        """Whether what is held is what a variant needs."""
        return _needs(variant) == _needs(self._variant)

    def take_up(self, variant: Variant) -> None:
        """Turn to the next variant."""
        self._variant, self.client_name, self.it = variant, variant.client, variant.it

    def still_to_happen(self) -> tuple[str, ...]:
        """The events that come before the variant's request, unless they came before another's already."""
        events = () if self._has_happened else self._variant.given
        self._has_happened = True
        return events

    def let_go(self) -> None:
        """Forget what was issued, so that the next variant begins with credentials of its own."""
        self._codes.clear()
        self._tokens.clear()
        self._consent.clear()
        self._has_happened = False

    async def client(self, name: str | None = None) -> dict[str, Any]:
        """A client by its name in the catalogue, registered on the spot."""
        name = name or self.client_name
        if name not in self._clients:
            self._clients[name] = await self._registered(name)
        return self._clients[name]

    @property
    def redirect_uri(self) -> str:
        """Where the codes of the case's client are sent; empty while there is no such client."""
        client = self._clients.get(self.client_name)
        return str(self._grant.get("redirect_uri", client["redirect_uris"][0] if client else ""))

    async def _registered(self, name: str) -> dict[str, Any]:
        metadata = CLIENTS[name]
        if name in SELF_REGISTERED:
            body = json.dumps(metadata).encode()
            head = "POST /register HTTP/1.1\r\nHost: as.test\r\nContent-Type: application/json\r\nContent-Length: "
            (answer,) = await self.arena.talk(f"{head}{len(body)}\r\n\r\n".encode() + body, "/register")
            return {**metadata, **answer.json}
        client, secret = await self.arena.place.world.provider.helpers.create_client(metadata)
        if secret is not None:
            self.arena.canaries.note("client secret", secret)
        return {**metadata, "client_id": client.client_id, "client_secret": secret}

    async def fill(self, text: str) -> str:
        """The text with every name replaced by what it stands for, the innermost ones first."""
        while found := _NAME.search(text):
            text = text[: found.start()] + await self._value(found[1]) + text[found.end() :]
        return text

    async def _value(self, name: str) -> str:
        if name == "it":
            return self.it
        if repeated := re.fullmatch("([0-9]+)×(.*)", name, re.DOTALL):
            return repeated[2] * int(repeated[1])
        kind, _, rest = name.partition(" ")
        if kind in CLIENTS:
            client = await self.client(kind)
            return str(client["client_secret"] if rest == "secret" else client["client_id"])
        match kind:
            case "base64":
                return base64.b64encode(rest.encode("latin-1")).decode()
            case "sha256":
                return hashlib.sha256(rest.encode()).hexdigest()
            case "percent":
                return "".join(f"%{byte:02X}" for byte in rest.encode())
            case "upper":
                return rest.upper()
            case "swapped":
                return rest.swapcase()
            case "altered":
                return rest[:-1] + ("A" if rest[-1] != "A" else "B")
            case "shortened":
                return rest[:-1]
            case "verifier":
                return self.pkce.verifier
            case "challenge":
                return self.pkce.challenge
            case "cookie":
                return await self.cookie()
            case "csrf" | "interaction":
                return (await self.consent_form())[{"csrf": "csrf", "interaction": "i"}[kind]]
            case "forged":
                return await self._forged(rest)
            case "stored":
                return await self._stored(rest)
        return await self._credential(name)

    async def _credential(self, name: str) -> str:
        name, _, owner = name.partition(" of ")
        kind, _, number = name.partition(" ")
        owner = owner or self.client_name
        match kind:
            case "code":
                return await self.code(owner)
            case "access":
                return (await self.tokens(owner)).access[int(number or 0) - 1]
            case "refresh":
                return (await self.tokens(owner)).refresh[int(number or 0) - 1]
            case "grant":
                return (await self.tokens(owner)).access[0][_GRANT_ID]
        raise ValueError(f"«{name}» names nothing")

    async def _forged(self, kind: str) -> str:
        """A well-formed token of the right grant, which was never issued."""
        random = secrets.token_bytes(32)
        match kind:
            case "code":
                return format_code((await self.code())[_GRANT_ID], random)
            case "access":
                return format_access_token((await self.tokens()).access[0][_GRANT_ID], random)
            case "refresh":
                grant_id = (await self.tokens()).refresh[0][_GRANT_ID]
                return format_refresh_token(grant_id, secrets.token_bytes(16), random)
            case "code of another grant":
                ours = await self.code()
                random = base64.urlsafe_b64decode(ours[20:63] + "=")
                return format_code((await self.tokens("C2")).access[0][_GRANT_ID], random)
        raise ValueError(f"«forged {kind}» names nothing")

    async def _stored(self, kind: str) -> str:
        """What the database holds in place of a credential, as somebody would write it who had read it there."""
        if kind == "secret":
            return digest_of("client_secret", (await self.client())["client_secret"]).hex()
        held = await self.tokens()
        digest = digest_of("access", held.access[-1]) if kind == "access" else digest_of("refresh", held.refresh[-1])
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    async def code(self, owner: str | None = None) -> str:
        """A code of a client, not yet exchanged."""
        owner = owner or self.client_name
        if owner not in self._codes:
            self._codes[owner] = Credentials(code=await self._new_code(owner, "u1"))
        return self._codes[owner].code

    async def _new_code(self, owner: str, user_id: str) -> str:
        client = await self.client(owner)
        parameters = {
            "client_id": client["client_id"],
            "redirect_uri": client["redirect_uris"][0],
            "code_challenge": self.pkce.challenge,
            "scope": "read" if "scope" in client else "read write",
            "resource": R1,
        }
        return await self.arena.approved_code(parameters | self._grant, user_id=user_id)

    async def tokens(self, owner: str | None = None) -> Credentials:
        """The tokens of a client, for a user of their own, so that its code is not replaced by them."""
        owner = owner or self.client_name
        if owner not in self._tokens:
            code = await self._new_code(owner, "u2")
            held = self._tokens[owner] = Credentials(code=code, code_was_spent=True)
            self._keep(held, await self.exchange(owner, code))
        return self._tokens[owner]

    def _keep(self, held: Credentials, answer: Answer) -> None:
        assert answer.status == 200, answer.raw
        held.access.append(answer.json["access_token"])
        held.refresh += [answer.json["refresh_token"]] if "refresh_token" in answer.json else []

    async def exchange(self, owner: str, code: str) -> Answer:
        """Exchange a code in the right way."""
        answer = await self._post(
            owner,
            {
                "grant_type": "authorization_code",
                "code": code,
                "code_verifier": self.pkce.verifier,
                "redirect_uri": self._grant.get("redirect_uri", (await self.client(owner))["redirect_uris"][0]),
            },
        )
        if answer.status == 200:
            self.arena.redemptions.note(code)
        return answer

    async def refresh(self, owner: str, token: str, **more: str) -> Answer:
        """Exchange a refresh token in the right way."""
        return await self._post(owner, {"grant_type": "refresh_token", "refresh_token": token, **more})

    async def rotate(self, narrowing: Mapping[str, str] | None = None) -> None:
        """Use the newest refresh token of the case's client, and keep what comes."""
        held = await self.tokens()
        self._keep(held, await self.refresh(self.client_name, held.refresh[-1], **(narrowing or {})))

    async def fork(self) -> None:
        """Use the first refresh token of the case's client again."""
        held = await self.tokens()
        self._keep(held, await self.refresh(self.client_name, held.refresh[0]))

    async def redeem(self) -> None:
        """Exchange the code of the case's client, so that the case can try it again."""
        code = await self.code()
        held = self._tokens[self.client_name] = self._codes.pop(self.client_name)
        self._codes[self.client_name] = Credentials(code=code, code_was_spent=True)
        self._keep(held, await self.exchange(self.client_name, code))

    async def _post(self, owner: str, form: dict[str, str]) -> Answer:
        authorization, credentials = authentication(await self.client(owner))
        return await self.arena.ask("POST", "/token", *authorization, form=form | credentials)

    async def cookie(self) -> str:
        """The cookie of a browser in which the user is signed in."""
        self._cookie = self._cookie or await self.arena.signed_in()
        return self._cookie

    async def consent_form(self) -> dict[str, str]:
        """The fields of the consent page, for a request of the case's client, in that browser."""
        if not self._consent:
            client = await self.client()
            query = await self.fill(
                f"client_id={client['client_id']}&response_type=code&code_challenge=«challenge»"
                "&code_challenge_method=S256&state=st4te&scope=read"
            )
            cookie = f"Cookie: {await self.cookie()}"
            began = await self.arena.ask("GET", f"/authorize?{query}", cookie)
            page = await self.arena.ask("GET", began.get("location") or "", cookie)
            self._consent = dict(page.page.forms)["/consent"]
        return self._consent

    async def check_everything(self) -> None:
        """Check that what was issued is as good as it was, and is in no file; no grant has too many tokens."""
        for held in self._tokens.values():
            check_live_refresh_tokens(self.arena.database, held.refresh)
        if self._variant.usable and not self._variant.given:
            await self._check_everything_works()
        self.arena.check_files(self.arena.canaries.known[self._first_secret :])

    async def _check_everything_works(self) -> None:
        for owner, held in self._codes.items():
            if not held.code_was_spent:
                assert (await self.exchange(owner, held.code)).status == 200, f"the code of {owner} is dead"
        for owner, held in self._tokens.items():
            called = await self.call(held.access[-1])
            assert called.status == 200, f"the access token of {owner} is dead"
            if held.refresh:
                self._keep(held, await self.refresh(owner, held.refresh[-1]))
        if self._consent:
            form = self._consent | {"decision": "allow"}
            answer = await self.arena.ask("POST", "/consent", f"Cookie: {await self.cookie()}", form=form)
            assert answer.redirect["code"], "the question can't be answered any more"

    async def call(self, access: str) -> Answer:
        """Call a protected application that the token is for."""
        resource = self._grant.get("resource", R1)
        path = (resource if isinstance(resource, str) else resource[0]).removeprefix("https://as.test")
        return await self.arena.ask("GET", path, f"Authorization: Bearer {access}")


def _needs(variant: Variant) -> tuple[object, ...]:
    # What happened before happened to a certain client.
    return variant.grant, variant.given, variant.usable, variant.client if variant.given else ""


def authentication(client: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """How a client authenticates, by the method it registered: header lines, and parameters."""
    match client["token_endpoint_auth_method"]:
        case "client_secret_basic":
            pair = f"{client['client_id']}:{client['client_secret']}"
            return [f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}"], {}
        case "client_secret_post":
            return [], {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    return [], {"client_id": client["client_id"]}
