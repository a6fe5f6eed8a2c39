"""A browser, as far as the pages need one: it keeps cookies, reads forms, and checks each page that it is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.types import ASGIApp

from grantwell import SecretKey
from grantwell.crypto import Keyring, PasswordHasher
from grantwell.signin import Accounts, Branding, SignIn
from grantwell.signin.visits import Upstream
from grantwell_storage import MemoryStore, SQLStore
from tests.wire.world import ISSUER, R1, World, running_world

KEY = SecretKey(b"k" * 32)
USER = "ada"
PASSWORD = "correct horse"
COOKIE = "__Host-grantwell"
ADDRESS = "203.0.113.5"


def cheap_hasher() -> PasswordHasher:
    """One that costs as little as argon2id can."""
    return PasswordHasher(memory_kib=64, passes=1, lanes=1)


class PageReader(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, its text, its forms."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.forms: list[tuple[str, dict[str, Any]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag == "form":
            self.forms.append((attributes.get("action") or "", {}))
        elif tag == "input" and self.forms:
            name, value = attributes.get("name") or "", attributes.get("value") or ""
            if attributes.get("type") != "checkbox":
                self.forms[-1][1][name] = value
            elif "checked" in attributes:
                self.forms[-1][1].setdefault(name, []).append(value)

    def handle_data(self, data: str) -> None:
        self.words += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of this name."""
        return [attributes for name, attributes in self.elements if name == tag]


def read(page: httpx.Response) -> PageReader:
    """What a page shows."""
    return PageReader(page.text)


def form_of(page: httpx.Response, action: str) -> dict[str, Any]:
    """The fields of the form on a page that is sent to a path; those of boxes are lists of what is ticked."""
    return next(fields for target, fields in read(page).forms if urlsplit(target).path == action)


def interaction_of(answer: httpx.Response) -> str:
    """The id of the pending request in the address that a browser is sent to."""
    return parse_qs(urlsplit(answer.headers["location"]).query)["i"][0]


def check_page(answer: httpx.Response) -> httpx.Response:
    """What holds of every answer of the pages (oracles O1, O4 of the threats)."""
    assert answer.status_code < 500 or (answer.status_code == 503 and "retry-after" in answer.headers), answer.text
    if answer.headers.get("content-type", "").startswith("text/html"):
        policy = answer.headers["content-security-policy"]
        assert policy == (
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "location" not in answer.headers
        assert not {"script", "iframe", "object", "base", "svg"} & {tag for tag, _ in read(answer).elements}
        assert [image.get("src") for image in read(answer).named("img")] in ([], ["/signin/logo"])
        assert not [a for _, a in read(answer).elements if any(n.startswith("on") or n == "style" for n in a)]
        assert not [meta for meta in read(answer).named("meta") if "http-equiv" in meta]
    return answer


@dataclass
class Browser:
    """One browser, with a cookie jar of its own, at an address."""

    world: World
    http: httpx.AsyncClient

    @property
    def cookie(self) -> str:
        """The value of its session cookie; empty where it has none."""
        return next((cookie.value or "" for cookie in self.http.cookies.jar if cookie.name == COOKIE), "")

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Open a page; redirects are not followed."""
        return check_page(await self.http.get(path, **options))

    async def post(self, path: str, form: Mapping[str, Any], **options: Any) -> httpx.Response:
        """Send a form, as a browser does from a page of the server."""
        headers = {"Origin": "null", "Sec-Fetch-Site": "same-origin"} | options.pop("headers", {})
        answer = check_page(await self.http.post(path, data=dict(form), headers=headers, **options))
        assert answer.status_code not in (301, 302, 307, 308)
        return answer

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Go where an answer sends the browser."""
        assert answer.status_code == 303, answer.text
        return await self.get(answer.headers["location"])

    def request(self, client: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """A valid authorization request, changed as written (None removes a parameter)."""
        parameters: dict[str, Any] = {
            "response_type": "code",
            "client_id": client["client_id"],
            "redirect_uri": client["redirect_uris"][0],
            "code_challenge": self.world.pkce.challenge,
            "code_challenge_method": "S256",
            "state": "xyz",
            "scope": "read",
            "resource": R1,
        } | changes
        return {name: value for name, value in parameters.items() if value is not None}

    async def authorize(self, client: Mapping[str, Any], **changes: Any) -> httpx.Response:
        """Come from a client with a request."""
        return await self.get("/authorize", params=self.request(client, **changes))

    async def sign_in(
        self, page: httpx.Response | None = None, *, username: str = USER, password: str = PASSWORD, **options: Any
    ) -> httpx.Response:
        """Fill in the form on a page, or on `/signin`."""
        form = form_of(page or await self.get("/signin"), "/signin")
        return await self.post("/signin", form | {"username": username, "password": password}, **options)

    async def asked(self, client: Mapping[str, Any], **changes: Any) -> httpx.Response:
        """Come from a client, sign in if that is needed, and stop before the question."""
        page = await self.follow(await self.authorize(client, **changes))
        if page.status_code == 200 and "/signin" in [action for action, _ in read(page).forms]:
            page = await self.follow(await self.sign_in(page))
        assert page.status_code == 200, page.text
        return page

    async def answer(
        self,
        page: httpx.Response,
        decision: str = "allow",
        *,
        ticked: Iterable[str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Press a button of the consent page; with `ticked`, after these boxes alone were left ticked."""
        boxes = {} if ticked is None else {"scope": list(ticked)}
        return await self.post("/consent", form_of(page, "/consent") | {"decision": decision} | boxes, **options)


@dataclass
class Place:
    """A server with the sign-in pages, a user, and clients; `browser` opens a browser."""

    world: World
    store: MemoryStore | SQLStore
    accounts: Accounts
    keyring: Keyring
    opened: list[httpx.AsyncClient] = field(default_factory=list)

    def browser(self, address: str = ADDRESS) -> Browser:
        """A browser without cookies."""
        transport = httpx.ASGITransport(app=self.world.provider, client=(address, 50_000))
        http = httpx.AsyncClient(transport=transport, base_url=self.world.provider.settings.issuer_url.origin)
        self.opened.append(http)
        return Browser(self.world, http)

    async def client(self, **changes: Any) -> dict[str, Any]:
        """A client that registered itself."""
        return await self.world.register(**changes)

    async def trusted_client(self, **changes: Any) -> dict[str, Any]:
        """A client that the operator registered."""
        metadata = {"redirect_uris": ["https://c1.test/cb"], "token_endpoint_auth_method": "none"} | changes
        client, _ = await self.world.provider.helpers.create_client(metadata)
        return {"client_id": client.client_id, "redirect_uris": list(client.redirect_uris)}

    async def grants(self, user_id: str = USER) -> list[Any]:
        """What a user has granted."""
        return list((await self.world.provider.helpers.list_user_grants(user_id)).items)


@asynccontextmanager
async def running_place(
    store: MemoryStore | SQLStore,
    *,
    hasher: PasswordHasher | None = None,
    fallback: ASGIApp | None = None,
    new_user: str = USER,
    branding: Branding | None = None,
    upstreams: Sequence[Upstream] = (),
    passwords: bool = True,
    **options: Any,
) -> AsyncIterator[Place]:
    """A place over a store; `options` go to the provider."""
    hasher = hasher or cheap_hasher()
    default = SignIn(
        store,
        options.get("secret_key", KEY),
        hasher=hasher,
        fallback=fallback,
        branding=branding,
        upstreams=upstreams,
        passwords=passwords,
    )
    async with running_world(store, default=default, **({"secret_key": KEY} | options)) as world:
        keyring = Keyring(options.get("issuer", ISSUER), options.get("secret_key", KEY))
        place = Place(world, store, Accounts(store, keyring, hasher, clock=world.clock), keyring)
        if await place.accounts.get(new_user) is None:
            await place.accounts.add(new_user, PASSWORD)
        try:
            yield place
        finally:
            for http in place.opened:
                await http.aclose()
