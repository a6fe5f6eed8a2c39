"""The pages about what does not work: each says what happened and what to do next, in words for its own case."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from grantwell import OAuthError, StoreUnavailable
from grantwell.signin.texts import TEXTS
from grantwell_storage import MemoryStore
from tests.signin.browser import ADDRESS, Browser, Place, form_of, read, running_place

pytestmark = pytest.mark.anyio

Case = Callable[[Place, Browser], Awaitable[httpx.Response]]


async def unknown_client(place: Place, browser: Browser) -> httpx.Response:
    """A client that is not registered."""
    return await browser.authorize(await place.client(), client_id="unheard-of")


async def client_deleted(place: Place, browser: Browser) -> httpx.Response:
    """A client that was deleted while its user was asked."""
    client = await place.client()
    page = await browser.asked(client)
    await place.world.provider.helpers.delete_client(client["client_id"])
    return await browser.answer(page)


async def redirect_uri(place: Place, browser: Browser) -> httpx.Response:
    """A redirect URI that is not the client's."""
    return await browser.authorize(await place.client(), redirect_uri="https://evil.test/")


async def document(place: Place, browser: Browser) -> httpx.Response:
    """A client whose document is on a host that is not to be reached."""
    return await browser.authorize(await place.client(), client_id="https://127.0.0.1/client.json")


async def permissions(place: Place, browser: Browser) -> httpx.Response:
    """A scope that no resource has."""
    return await browser.authorize(await place.client(), scope="unheard-of")


async def refused(place: Place, browser: Browser) -> httpx.Response:
    """A request without a challenge."""
    return await browser.authorize(await place.client(), code_challenge=None)


async def too_large(place: Place, browser: Browser) -> httpx.Response:
    """A form without end."""
    form = form_of(await browser.get("/signin"), "/signin")
    return await browser.post("/signin", form | {"username": "x" * 70_000})


async def not_found(place: Place, browser: Browser) -> httpx.Response:
    """An address where nothing is."""
    return await browser.get("/nowhere")


async def method_not_allowed(place: Place, browser: Browser) -> httpx.Response:
    """A page that is no form."""
    return await browser.post("/signin.css", {})


async def bad_address(place: Place, browser: Browser) -> httpx.Response:
    """An address with a parameter that is not ours."""
    return await browser.get("/signin?password=x")


async def foreign_form(place: Place, browser: Browser) -> httpx.Response:
    """A form that was made elsewhere."""
    return await browser.post("/signin", {"username": "ada", "password": "x", "csrf": "x"})


async def nothing_to_answer(place: Place, browser: Browser) -> httpx.Response:
    """A request that nobody brought."""
    return await browser.get(f"/consent?i={'x' * 32}")


CASES: list[tuple[str, int, Case]] = [
    ("unknown_client", 400, unknown_client),
    ("unknown_client", 403, client_deleted),
    ("redirect_uri", 400, redirect_uri),
    ("document", 400, document),
    ("permissions", 400, permissions),
    ("refused", 400, refused),
    ("too_large", 413, too_large),
    ("not_found", 404, not_found),
    ("method_not_allowed", 405, method_not_allowed),
    ("bad_address", 400, bad_address),
    ("foreign_form", 403, foreign_form),
    ("nothing_to_answer", 403, nothing_to_answer),
]


@pytest.mark.requirement("G-533")
@pytest.mark.parametrize(("problem", "status", "case"), CASES, ids=[case.__name__ for _, _, case in CASES])
async def test_a_page_says_what_happened_and_what_to_do_next(
    place: Place, browser: Browser, problem: str, status: int, case: Case
) -> None:
    answer = await case(place, browser)
    assert answer.status_code == status
    for part in ("title", "happened", "next"):
        assert TEXTS[f"problem.{problem}.{part}"] in read(answer).words


@pytest.mark.requirement("G-533")
@pytest.mark.parametrize(
    ("error", "status", "problem"),
    [
        (OAuthError("invalid_request", status=408), 408, "timed_out"),
        (OAuthError("temporarily_unavailable", status=429), 429, "too_many"),
        (OAuthError("temporarily_unavailable"), 503, "busy"),
        (StoreUnavailable("busy"), 503, "busy"),
    ],
)
async def test_what_passes_by_itself_is_said_to_be_tried_again(
    error: Exception, status: int, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_place(MemoryStore()) as place:
        browser = place.browser()
        form = form_of(await browser.get("/signin"), "/signin")

        async def failing(*_: Any, **__: Any) -> Any:
            raise error

        monkeypatch.setattr(place.world.provider.helpers, "read_form", failing)
        answer = await browser.post("/signin", form)
        assert answer.status_code == status
        assert (status == 408) == ("retry-after" not in answer.headers)
        assert TEXTS[f"problem.{problem}.next"] in read(answer).words


@pytest.mark.requirement("G-533")
def test_every_problem_has_all_three_texts_and_no_other() -> None:
    keys = [key.split(".") for key in TEXTS if key.startswith("problem.") and key.count(".") == 2]
    problems = {problem for _, problem, _ in keys}
    assert {problem for problem, _, _ in CASES} <= problems
    for problem in problems:
        assert {part for _, name, part in keys if name == problem} == {"title", "happened", "next"}, problem


@pytest.mark.requirement("G-533")
async def test_a_form_with_more_boxes_than_any_page_has_is_refused(place: Place, browser: Browser) -> None:
    page = await browser.asked(await place.client())
    answer = await browser.answer(page, ticked=[f"scope-{number}" for number in range(1100)])
    assert answer.status_code == 403
    assert "too many parameters" in read(answer).words


@pytest.mark.requirement("G-534")
@pytest.mark.parametrize(("problem", "status", "case"), CASES, ids=[case.__name__ for _, _, case in CASES])
async def test_a_page_carries_the_reference_under_which_the_operator_finds_what_happened(
    place: Place, browser: Browser, problem: str, status: int, case: Case
) -> None:
    answer = await case(place, browser)
    references = re.findall(r"<dd><code>([0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4})</code></dd>", answer.text)
    kept = (await place.world.provider.helpers.list_events(name="refused")).items
    assert [event.reference for event in kept] == references
    # Anybody can invent an address where nothing is.
    assert len(references) == (0 if status in (404, 405) else 1)
    for event in kept:
        assert (event.address, event.details["status"]) == (ADDRESS, 400 if case is client_deleted else status)
        assert event.details["code"]


@pytest.mark.requirement("G-534")
async def test_no_two_refusals_have_the_same_reference(place: Place, browser: Browser) -> None:
    pages = [(await unknown_client(place, browser)).text for _ in range(5)]
    assert len({re.findall(r"<code>(\w{4}-\w{4})</code>", page)[0] for page in pages}) == 5
