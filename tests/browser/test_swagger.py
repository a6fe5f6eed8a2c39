"""The Authorize button of FastAPI's docs, pressed in Chromium: Swagger UI itself gets a token and uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.integrations.running import PASSWORD, served_example
from tests.interop.javascript import install

_SOURCES = Path(__file__).with_name("swagger")
_ELSEWHERE = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/"
_SECONDS = 20_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Swagger UI as it is published, in the place of the site that FastAPI's page has it from."""
    return install(tmp_path_factory.mktemp("swagger"), _SOURCES).folder / "node_modules" / "swagger-ui-dist"


@pytest.fixture
def docs(chromium: Browser, library: Path) -> Iterator[Page]:
    """A window that gets the library from the disk, and nothing else from elsewhere."""

    def from_disk(route: Route) -> None:
        if route.request.url.startswith(_ELSEWHERE):
            route.fulfill(path=library / route.request.url.removeprefix(_ELSEWHERE))
        elif route.request.url.startswith("http://127.0.0.1:"):
            route.continue_()
        else:
            route.abort()

    context = chromium.new_context(viewport={"width": 1280, "height": 1200})
    context.set_default_timeout(_SECONDS)
    context.route("**/*", from_disk)
    yield context.new_page()
    context.close()


@pytest.mark.requirement("G-626")
def test_the_authorize_button_signs_in_and_the_page_calls_the_api(docs: Page, tmp_path: Path) -> None:
    with served_example("fastapi_app", tmp_path, "alice") as origin:
        docs.goto(f"{origin}/docs")
        docs.get_by_role("button", name="Authorize").first.click()
        with docs.expect_popup() as opened:
            docs.locator(".modal-btn.auth.authorize").click()
        person = opened.value
        person.locator("input[name=username]").fill("alice")
        person.locator("input[name=password]").fill(PASSWORD)
        person.locator("input[name=password]").press("Enter")
        with person.expect_event("close"):
            person.locator("button[name=decision][value=allow]").click()
        docs.get_by_role("button", name="Close").click()
        docs.locator("#operations-default-read_api_notes_get").click()
        docs.get_by_role("button", name="Try it out").click()
        with docs.expect_response(f"{origin}/api/notes") as answered:
            docs.get_by_role("button", name="Execute").click()
        assert answered.value.status == 200
        assert answered.value.request.headers["authorization"].startswith("Bearer gwa_")
