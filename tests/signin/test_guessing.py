"""Guessing passwords: slowed down by name and by address, while the owner gets in; and nothing tells who exists."""

from __future__ import annotations

import asyncio
import threading
from itertools import islice
from time import perf_counter

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from grantwell.crypto import PasswordHasher
from grantwell_storage import MemoryStore
from tests.signin.browser import PASSWORD, USER, Browser, Place, read, running_place

pytestmark = pytest.mark.anyio


def said(answer: httpx.Response) -> list[str]:
    """What a page says, whoever was named on it."""
    return [line.strip() for line in read(answer).words.splitlines()]


@pytest.mark.requirement("A-249", "S-168")
async def test_after_ten_wrong_passwords_an_address_has_to_wait(place: Place, browser: Browser) -> None:
    page = await browser.get("/signin")
    for _ in range(10):
        assert (await browser.sign_in(page, password="wrong password")).status_code == 403
    for password in ("wrong password", PASSWORD):
        waiting = await browser.sign_in(page, password=password)
        assert (waiting.status_code, waiting.headers["retry-after"]) == (429, "600")
        assert "set-cookie" not in waiting.headers
    place.world.clock.advance(599)
    assert (await browser.sign_in(page)).status_code == 429
    place.world.clock.advance(1)
    assert (await browser.sign_in(page)).status_code == 303


@pytest.mark.requirement("A-249", "D-29")
async def test_the_owner_gets_in_from_elsewhere_while_somebody_guesses(place: Place, browser: Browser) -> None:
    page = await browser.get("/signin")
    for _ in range(30):
        await browser.sign_in(page, password="wrong password")
    assert (await browser.sign_in(page)).status_code == 429
    assert (await place.browser("198.51.100.9").sign_in()).status_code == 303
    # And the guesser gains nothing by that.
    assert (await browser.sign_in(page)).status_code == 429


@pytest.mark.requirement("A-249", "S-168")
async def test_an_address_that_tries_many_names_has_to_wait(place: Place, browser: Browser) -> None:
    page = await browser.get("/signin")
    for n in range(100):
        assert (await browser.sign_in(page, username=f"user{n}", password="password1")).status_code == 403
    assert (await browser.sign_in(page, username="one-more", password="password1")).status_code == 429
    assert (await browser.sign_in(page)).status_code == 429
    assert (await place.browser("198.51.100.9").sign_in()).status_code == 303


@pytest.mark.requirement("A-249")
async def test_an_account_of_his_own_does_not_help_a_guesser(place: Place, browser: Browser) -> None:
    await place.accounts.add("mallory", PASSWORD)
    for n in range(100):
        await browser.sign_in(await browser.get("/signin"), username=f"user{n}", password="password1")
        if n % 25 == 0:
            own = place.browser()
            assert (await own.sign_in(username="mallory")).status_code == 303
    assert (await place.browser().sign_in(username="one-more", password="password1")).status_code == 429


@pytest.mark.requirement("A-249")
async def test_signing_in_forgets_the_failures_before(place: Place) -> None:
    for _ in range(3):
        browser = place.browser()
        page = await browser.get("/signin")
        for _ in range(9):
            assert (await browser.sign_in(page, password="wrong password")).status_code == 403
        assert (await browser.sign_in(page)).status_code == 303


@pytest.mark.requirement("A-249")
async def test_neither_a_new_cookie_nor_another_spelling_of_the_name_gives_more_tries(place: Place) -> None:
    names = ("ada", "ADA", "Ada", "aDa")
    statuses = [
        (await place.browser().sign_in(username=names[n % 4], password="wrong password")).status_code for n in range(12)
    ]
    assert statuses == [403] * 10 + [429] * 2


@pytest.mark.requirement("A-249")
async def test_an_ipv6_customer_counts_once(place: Place) -> None:
    for n in range(10):
        await place.browser(f"2001:db8:1:2:{n}::{n}").sign_in(password="wrong password")
    assert (await place.browser("2001:db8:1:2::99").sign_in()).status_code == 429
    assert (await place.browser("2001:db8:1:3::99").sign_in()).status_code == 303
    for _ in range(10):
        await place.browser("::ffff:192.0.2.7").sign_in(password="wrong password")
    assert (await place.browser("192.0.2.7").sign_in()).status_code == 429


@pytest.mark.requirement("A-249")
async def test_behind_a_trusted_proxy_the_address_is_that_of_the_sender() -> None:
    async with running_place(MemoryStore(), trusted_proxies=["203.0.113.0/24"]) as place:
        page_of = {sender: place.browser() for sender in ("198.51.100.1", "198.51.100.2")}
        for sender, browser in page_of.items():
            headers = {"X-Forwarded-For": f"10.0.0.1, {sender}"}
            wrong = [await browser.sign_in(password="wrong password", headers=headers) for _ in range(10)]
            assert {answer.status_code for answer in wrong} == {403}
            assert (await browser.sign_in(headers=headers)).status_code == 429
    async with running_place(MemoryStore()) as place:
        statuses = []
        for n in range(11):
            headers = {"X-Forwarded-For": f"198.51.100.{n}"}
            answer = await place.browser().sign_in(password="wrong password", headers=headers)
            statuses.append(answer.status_code)
        assert statuses[-1] == 429


@pytest.mark.requirement("A-249")
async def test_where_no_address_is_known_one_name_is_slowed_down_and_the_others_are_not(place: Place) -> None:
    transport = httpx.ASGITransport(app=_without_address(place.world.provider))
    async with httpx.AsyncClient(transport=transport, base_url="https://as.test") as http:
        browser = Browser(place.world, http)
        page = await browser.get("/signin")
        for n in range(101):
            assert (await browser.sign_in(page, username=f"user{n}", password="password1")).status_code == 403
        for _ in range(10):
            await browser.sign_in(page, username="user1", password="password1")
        assert (await browser.sign_in(page, username="user1", password="password1")).status_code == 429
        assert (await browser.sign_in(page)).status_code == 303


@pytest.mark.requirement("A-250", "S-168")
async def test_nothing_in_the_answer_tells_who_exists(place: Place, browser: Browser) -> None:
    await place.accounts.add("gone", PASSWORD)
    await place.accounts.disable("gone")
    page = await browser.get("/signin")
    answers = {
        (name, password): await browser.sign_in(page, username=name, password=password)
        for name in (USER, "gone", "nobody", "not a name!", "")
        for password in ("wrong password", "x" * 2000, "")
    }
    answers["gone", PASSWORD] = await browser.sign_in(page, username="gone")
    (status,) = {answer.status_code for answer in answers.values()}
    assert status == 403
    assert len({tuple(said(answer)) for answer in answers.values()}) == 1
    assert len({tuple(sorted(set(answer.headers) - {"content-length"})) for answer in answers.values()}) == 1
    # As a whole attribute, for a short name may stand by chance in the hexadecimal digits of a token.
    assert len({answer.text.replace(f' value="{name}"', "") for (name, _), answer in answers.items() if name}) == 1


@pytest.mark.requirement("A-250")
async def test_waiting_begins_at_the_same_try_for_everybody_and_says_the_same(place: Place) -> None:
    await place.accounts.add("gone", PASSWORD)
    await place.accounts.disable("gone")
    texts, onsets = set(), set()
    for n, name in enumerate((USER, "gone", "nobody")):
        browser = place.browser(f"198.51.100.{n}")
        page = await browser.get("/signin")
        answers = [await browser.sign_in(page, username=name, password="wrong password") for _ in range(12)]
        onsets.add(tuple(answer.status_code for answer in answers))
        texts |= {tuple(said(answer)) for answer in answers}
    assert onsets == {(403,) * 10 + (429,) * 2}
    assert len(texts) == 1


@pytest.mark.requirement("A-250", "A-297", "D-29")
async def test_every_try_costs_one_hash_whoever_is_named() -> None:
    hasher = CountingHasher()
    async with running_place(MemoryStore(), hasher=hasher) as place:
        await place.accounts.add("gone", PASSWORD)
        await place.accounts.disable("gone")
        browser = place.browser()
        page = await browser.get("/signin")
        await browser.sign_in(page, username="nobody")
        for name, password in [(USER, "wrong password"), ("gone", PASSWORD), ("nobody", "x"), ("not a name!", "x")]:
            before = hasher.hashes
            await browser.sign_in(page, username=name, password=password)
            assert hasher.hashes == before + 1


@pytest.mark.requirement("A-249")
async def test_a_try_that_has_to_wait_costs_no_hash() -> None:
    hasher = CountingHasher()
    async with running_place(MemoryStore(), hasher=hasher) as place:
        browser = place.browser()
        page = await browser.get("/signin")
        for _ in range(10):
            await browser.sign_in(page, password="wrong password")
        before = hasher.hashes
        assert (await browser.sign_in(page)).status_code == 429
        assert hasher.hashes == before


@pytest.mark.requirement("A-297")
async def test_an_unknown_name_takes_as_long_as_a_wrong_password() -> None:
    async with running_place(MemoryStore(), hasher=PasswordHasher(memory_kib=4096, passes=4, lanes=1)) as place:
        times: dict[str, list[float]] = {USER: [], "nobody": []}
        for n in range(24):
            for name, taken in times.items():
                browser = place.browser(f"198.51.100.{n}")
                page = await browser.get("/signin")
                begun = perf_counter()
                await browser.sign_in(page, username=name, password="wrong password")
                taken.append(perf_counter() - begun)
        known, unknown = (sorted(taken)[len(taken) // 2] for taken in times.values())
        assert 0.5 < known / unknown < 2


@pytest.mark.requirement("A-301")
async def test_of_very_many_tries_at_once_most_are_told_to_come_back() -> None:
    hasher = HaltingHasher()
    async with running_place(MemoryStore(), hasher=hasher) as place:
        browsers = [place.browser(f"198.51.100.{n}") for n in range(80)]
        pages = [await browser.get("/signin") for browser in browsers]
        assert (await browsers[0].sign_in(pages[0], password="wrong password")).status_code == 403
        hasher.go_on.clear()
        tries = [
            asyncio.ensure_future(browser.sign_in(page, password="wrong password"))
            for browser, page in zip(browsers, pages, strict=True)
        ]
        # Two are being checked and 32 wait; the others are answered at once.
        away = [await answer for answer in islice(asyncio.as_completed(tries), 80 - 34)]
        assert {(answer.status_code, answer.headers["retry-after"]) for answer in away} == {(503, "2")}
        assert "set-cookie" not in away[0].headers
        hasher.go_on.set()
        statuses = [answer.status_code for answer in await asyncio.gather(*tries)]
        assert (statuses.count(403), statuses.count(503)) == (34, 46)
        sent_away = browsers[statuses.index(503)]
        assert (await sent_away.sign_in()).status_code == 303


class HaltingHasher(PasswordHasher):
    """One that can be made to wait."""

    def __init__(self) -> None:
        super().__init__(memory_kib=64, passes=1, lanes=1)
        self.go_on = threading.Event()
        self.go_on.set()

    def _verify(self, stored: str, password: bytes) -> bool:
        self.go_on.wait(timeout=30)
        return super()._verify(stored, password)


class CountingHasher(PasswordHasher):
    """One that counts what it does."""

    def __init__(self) -> None:
        super().__init__(memory_kib=64, passes=1, lanes=1)
        self.hashes = 0

    async def hash(self, password: str) -> str:
        self.hashes += 1
        return await super().hash(password)

    async def fits(self, password: str, stored: str | None) -> bool:
        self.hashes += 1
        return await super().fits(password, stored)


def _without_address(app: ASGIApp) -> ASGIApp:
    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "client": None}, receive, send)

    return served
