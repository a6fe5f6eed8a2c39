"""Signing in with a real OpenID Connect server that we did not write: oidc-provider, run by node."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from grantwell.signin.upstream import OIDC, UpstreamTokens
from grantwell.testing import FrozenClock
from grantwell_storage import SQLStore
from tests.interop.javascript import Node, install
from tests.signin.browser import Browser, Place, form_of, read, running_place
from tests.wire.world import ISSUER, Tokens, answer_parameters, new_store, parsed, refused

pytestmark = [pytest.mark.anyio, pytest.mark.system]

# With characters that a client has to encode, and a server to decode.
CLIENT = {"CLIENT_ID": "grantwell", "CLIENT_SECRET": "s3cret/+=%41 ~"}
REDIRECT = f"{ISSUER}/signin/back/corp"
TTL = 600


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """The script with its library, installed once."""
    return install(tmp_path_factory.mktemp("upstream"), Path(__file__).with_name("node"))


@contextmanager
def running_provider(
    node: Node, auth_method: str, *, redirect: str = REDIRECT, name: str = "127.0.0.1"
) -> Iterator[str]:
    """The issuer of an oidc-provider that runs while the body does; `name` is what this machine is called in it."""
    settings = CLIENT | {"REDIRECT": redirect, "AUTH_METHOD": auth_method, "ACCESS_TOKEN_TTL": str(TTL), "NAME": name}
    process = subprocess.Popen(
        ["node", "issuer.mjs"],
        cwd=node.folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("NODE_")} | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            yield json.loads(process.stdout.readline())["issuer"]  # type: ignore[union-attr]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def corp(node: Node) -> Iterator[str]:
    """The issuer of one server for the tests of this file."""
    with running_provider(node, "client_secret_basic") as issuer:
        yield issuer


class Person:
    """Somebody with a browser of their own at the issuer, where any password will do."""

    def __init__(self, login: str) -> None:
        self.login = login
        self.questions: list[str] = []
        self._http = httpx.AsyncClient()

    async def answers(self, location: str, *, says: str = "yes") -> str:
        """Follow the issuer's pages, allow what they ask (or leave, if `says` is "no"), up to the way back."""
        answer = await self._http.get(location)
        for _ in range(10):
            if answer.is_redirect:
                location = urljoin(str(answer.url), answer.headers["location"])
                if location.startswith(ISSUER):
                    return location
                answer = await self._http.get(location)
                continue
            page = read(answer)
            if says == "no":
                (leave,) = [a["href"] for a in page.named("a") if (a.get("href") or "").endswith("/abort")]
                answer = await self._http.get(urljoin(str(answer.url), leave))
                continue
            action, fields = page.forms[0]
            self.questions.append(fields["prompt"])
            filled = fields | ({"login": self.login, "password": "x"} if fields["prompt"] == "login" else {})
            answer = await self._http.post(urljoin(str(answer.url), action), data=filled)
        raise AssertionError(f"no way back: {answer.text}")

    async def aclose(self) -> None:
        """Close the browser."""
        await self._http.aclose()


class Scene:
    """A server whose people sign in at the issuer."""

    def __init__(self, place: Place, clock: FrozenClock, issuer: str) -> None:
        self.place = place
        self.clock = clock
        self.issuer = issuer

    async def sign_in(self, browser: Browser, person: Person, page: httpx.Response, **options: Any) -> httpx.Response:
        """Press the button, sign in there, and come back."""
        form = form_of(page, "/signin/with/corp")
        return await self.there_and_back(browser, person, await browser.post("/signin/with/corp", form), **options)

    async def there_and_back(
        self, browser: Browser, person: Person, answer: httpx.Response, **options: Any
    ) -> httpx.Response:
        """Follow an answer to the issuer and back."""
        assert answer.status_code == 303, answer.text
        back = urlsplit(await person.answers(answer.headers["location"], **options))
        return await browser.get(f"{back.path}?{back.query}")

    async def tokens(self, browser: Browser, person: Person, client: dict[str, Any]) -> Tokens:
        """The whole way to tokens, for somebody who has not signed in yet."""
        page = await browser.follow(await browser.authorize(client))
        consent = await browser.follow(await self.sign_in(browser, person, page))
        return await self.allowed(browser, client, consent)

    async def allowed(self, browser: Browser, client: dict[str, Any], consent: httpx.Response) -> Tokens:
        """The tokens of a client that somebody allows what it asks."""
        answer = await browser.answer(consent)
        return parsed(await self.place.world.exchange(client, answer_parameters(answer)["code"]))

    async def upstream(self, tokens: Tokens) -> dict[str, Any]:
        """The upstream tokens that a call has."""
        upstream: dict[str, Any] = (await self.place.world.call(tokens.access)).json()["props"]["upstream"]
        return upstream

    async def knows(self, access_token: str) -> bool:
        """Whether the issuer takes an access token for one of its own."""
        headers = {"Authorization": f"Bearer {access_token}"}
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{self.issuer}/me", headers=headers)).status_code == 200


@asynccontextmanager
async def running_scene(issuer: str, folder: Path, **changes: Any) -> AsyncIterator[Scene]:
    """A scene over SQLite; `changes` go to the upstream."""
    clock = FrozenClock(int(time.time()))
    settings: dict[str, Any] = {
        "scopes": ["openid", "profile", "email", "offline_access"],
        "authorize_parameters": {"prompt": "consent"},
        "keep_tokens": True,
        "everybody": not {"allowed_domains", "allowed_groups"} & set(changes),
    } | changes
    upstreams = [OIDC("corp", issuer, CLIENT["CLIENT_ID"], CLIENT["CLIENT_SECRET"], **settings)]
    store = new_store("sqlite", folder)
    assert isinstance(store, SQLStore)
    callback = UpstreamTokens(upstreams, clock=clock)
    async with running_place(store, upstreams=upstreams, clock=clock, token_exchange_callback=callback) as place:
        yield Scene(place, clock, issuer)


@pytest.fixture
async def scene(corp: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """A scene where everybody is let in, and tokens are kept."""
    async with running_scene(corp, tmp_path) as scene:
        yield scene


@pytest.fixture
async def ada() -> AsyncIterator[Person]:
    """Somebody whose address is verified, and who is in a group."""
    ada = Person("ada")
    yield ada
    await ada.aclose()


@pytest.mark.requirement("G-575", "S-460", "S-461")
async def test_from_the_sign_in_there_to_tokens_here_that_are_renewed_and_revoked(scene: Scene, ada: Person) -> None:
    browser, client = scene.place.browser(), await scene.place.client()
    tokens = await scene.tokens(browser, ada, client)
    assert ada.questions == ["login", "consent"]
    user = await scene.place.accounts.get("corp:ada")
    assert user is not None
    # From the UserInfo endpoint: this server keeps its ID tokens thin.
    assert user.name == "Ada Lovelace"
    assert tokens.raw["expires_in"] == TTL
    seen = [await scene.upstream(tokens)]
    assert await scene.knows(seen[0]["access_token"])
    for _ in range(3):
        scene.clock.advance(TTL - 100)
        # Eight at once: a refresh token that came to this issuer twice would end everything.
        answers = await asyncio.gather(*(scene.place.world.refresh(client, tokens.refresh) for _ in range(8)))
        assert len({parsed(answer).refresh for answer in answers}) == 1
        tokens = parsed(answers[0])
        seen.append(await scene.upstream(tokens))
        assert await scene.knows(seen[-1]["access_token"])
    for name in ("access_token", "refresh_token"):
        assert len({upstream[name] for upstream in seen}) == 4
    async with httpx.AsyncClient() as http:
        revoked = await http.post(
            f"{scene.issuer}/token/revocation",
            data={"token": seen[-1]["refresh_token"]},
            auth=httpx.BasicAuth(CLIENT["CLIENT_ID"], "s3cret%2F%2B%3D%2541%20~"),
        )
    assert revoked.status_code == 200, revoked.text
    scene.clock.advance(TTL - 100)
    refused(await scene.place.world.refresh(client, tokens.refresh), "invalid_grant")
    assert await scene.place.grants("corp:ada") == []
    assert (await scene.place.world.call(tokens.access)).status_code == 401


@pytest.mark.requirement("G-575", "G-568")
async def test_a_second_client_gets_tokens_of_its_own_without_another_sign_in(scene: Scene, ada: Person) -> None:
    browser, client = scene.place.browser(), await scene.place.client()
    other = await scene.place.client(redirect_uris=["https://c2.test/cb"])
    first = await scene.tokens(browser, ada, client)
    detour = await browser.follow(await browser.authorize(other))
    consent = await browser.follow(await scene.there_and_back(browser, ada, detour))
    second = await scene.allowed(browser, other, consent)
    assert ada.questions == ["login", "consent", "consent"]
    tokens = [await scene.upstream(first), await scene.upstream(second)]
    assert len({one["refresh_token"] for one in tokens}) == 2
    # One ends, the other does not.
    scene.clock.advance(TTL - 100)
    parsed(await scene.place.world.refresh(other, second.refresh))
    parsed(await scene.place.world.refresh(client, first.refresh))


@pytest.mark.requirement("G-575", "G-564")
async def test_a_fresh_sign_in_is_asked_for_there(scene: Scene, ada: Person) -> None:
    browser, client = scene.place.browser(), await scene.place.client()
    await scene.tokens(browser, ada, client)
    page = await browser.follow(await browser.authorize(client, prompt="login"))
    assert (await scene.sign_in(browser, ada, page)).status_code == 303
    assert ada.questions == ["login", "consent", "login", "consent"]


@pytest.mark.requirement("G-575", "S-459")
async def test_somebody_who_leaves_there_is_told_here_and_a_way_back_works_once(scene: Scene, ada: Person) -> None:
    browser = scene.place.browser()
    left = await scene.sign_in(browser, ada, await browser.get("/signin"), says="no")
    assert (left.status_code, "You or corp refused the sign-in" in read(left).words) == (403, True)
    form = form_of(await browser.get("/signin"), "/signin/with/corp")
    location = (await browser.post("/signin/with/corp", form)).headers["location"]
    back = urlsplit(await ada.answers(location))
    assert (await browser.get(f"{back.path}?{back.query}")).status_code == 303
    assert (await browser.get(f"{back.path}?{back.query}")).status_code == 403


@pytest.mark.requirement("G-575", "G-567")
@pytest.mark.parametrize("lists", [{"allowed_domains": ["example.com"]}, {"allowed_groups": ["staff"]}], ids=repr)
async def test_the_lists_hold_for_what_the_issuer_says(
    corp: str, tmp_path: Path, ada: Person, lists: dict[str, Any]
) -> None:
    eve = Person("eve")
    scopes = ["openid", "profile", "email", "groups"]
    async with running_scene(corp, tmp_path, keep_tokens=False, scopes=scopes, **lists) as scene:
        for person, status in ((ada, 303), (eve, 403)):
            browser = scene.place.browser()
            assert (await scene.sign_in(browser, person, await browser.get("/signin"))).status_code == status
    await eve.aclose()


@pytest.mark.requirement("G-575", "G-573")
async def test_a_wrong_secret_is_told_to_nobody_but_the_log(corp: str, tmp_path: Path, ada: Person) -> None:
    async with running_scene(corp, tmp_path) as scene:
        wrong = OIDC("corp", corp, CLIENT["CLIENT_ID"], "wrong", everybody=True)
        async with running_place(new_store("memory", tmp_path), upstreams=[wrong], clock=scene.clock) as place:
            browser = place.browser()
            page = await Scene(place, scene.clock, corp).sign_in(browser, ada, await browser.get("/signin"))
    assert (page.status_code, "The sign-in with corp did not work" in read(page).words) == (403, True)
    assert "invalid_client" not in page.text


@pytest.mark.requirement("G-575", "G-573")
async def test_the_secret_is_sent_in_the_form_where_the_issuer_wants_that(
    node: Node, tmp_path: Path, ada: Person
) -> None:
    with running_provider(node, "client_secret_post") as issuer:
        async with running_scene(issuer, tmp_path) as scene:
            browser, client = scene.place.browser(), await scene.place.client()
            tokens = await scene.tokens(browser, ada, client)
            scene.clock.advance(TTL - 100)
            parsed(await scene.place.world.refresh(client, tokens.refresh))
