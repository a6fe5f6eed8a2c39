"""Takes the pictures of docs/images: `python -m tests.browser.screenshots`. It needs port 8000 of this machine."""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Browser, Route, expect

from tests.browser.chromium import running_chromium
from tests.browser.clients import Client
from tests.browser.window import PHONE, Scheme, Window
from tests.cli.processes import Demo, demo_server

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
MAX_BYTES = 120 * 1024

NARROW, WIDE = (800, 700), (1000, 680)
# Each page in three looks, by the end of the file's name.
LOOKS: dict[str, tuple[Scheme, tuple[int, int] | None]] = {
    "light": ("light", None),
    "dark": ("dark", None),
    "phone": ("light", PHONE),
}
_USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
APPS = ("Travel planner", "Notes for the desktop", "Build agent")


@dataclass
class Photographer:
    """Takes pictures of what a window shows."""

    window: Window

    def take(self, name: str, size: tuple[int, int], *, at: str = "html") -> None:
        """A picture in each look, scrolled to where an element begins."""
        for look, (scheme, own_size) in LOOKS.items():
            self.window.look(scheme, own_size or size)
            self.window.page.evaluate("document.activeElement.blur()")
            self.window.page.locator(at).evaluate("(element) => element.scrollIntoView({behavior: 'instant'})")
            picture = self.window.page.screenshot(animations="disabled", caret="hide")
            file = FOLDER / f"{name}-{look}.png"
            if len(picture) > MAX_BYTES:
                sys.exit(f"{file.name} would have {len(picture)} bytes; {MAX_BYTES} are allowed")
            file.write_bytes(picture)
            print(f"{file.relative_to(FOLDER.parents[1])}: {len(picture) // 1024} KiB")


def _client(demo: Demo, name: str) -> Client:
    host = name.split(" ", 1)[0].lower()
    return Client.registered(demo.url, f"https://{host}.example/back", client_name=name)


def _window(chromium: Browser, demo: Demo) -> Window:
    context = chromium.new_context(user_agent=_USER_AGENT)

    def back(route: Route) -> None:
        route.fulfill(body="back")

    # Where the browser comes back to; nobody else is asked for it.
    context.route(re.compile(r"https://\w+\.example/"), back)
    return Window(context, context.new_page(), demo.url)


def _take_all(chromium: Browser, demo: Demo) -> None:
    window = _window(chromium, demo)
    photographer = Photographer(window)
    window.open(_client(demo, APPS[0]).request())
    photographer.take("signin", NARROW)
    window.sign_in()
    window.page.wait_for_url("**/consent**")
    expect(window.page.locator("button[value=allow]")).to_be_visible()
    photographer.take("consent", NARROW)
    for name in APPS:
        client = _client(demo, name)
        window.ask(client)
        with window.page.expect_request(re.compile(r"\.example/")) as gone:
            window.press("allow")
        tokens = client.exchanged(dict(parse_qsl(urlsplit(gone.value.url).query)))
        client.call(tokens, "GET", "/api/notes").raise_for_status()
    for name, path in (
        ("connections", "/account/connections"),
        ("sessions", "/account/sessions"),
        ("admin", "/admin/grants"),
        ("events", "/admin/events"),
    ):
        window.open(path)
        photographer.take(name, WIDE)
    _take_playground(window, photographer)


def _take_playground(window: Window, photographer: Photographer) -> None:
    window.open("/")
    for step in ("discover", "register", "authorize"):
        window.page.locator(f"#{step} .actions button").click()
        if step != "authorize":
            expect(window.page.locator(f"#{step}")).to_have_attribute("data-state", "done")
    window.page.wait_for_url("**/consent**")
    window.press("allow")
    window.page.locator("#exchange .actions button").click()
    expect(window.page.locator("#exchange .anatomy")).to_have_count(2)
    window.look("light", WIDE)
    photographer.take("playground", WIDE)
    photographer.take("playground-token", WIDE, at="#exchange .anatomy >> nth=0")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        demo_server(Path(folder), "--port", "8000") as server,
        running_chromium() as browser,
    ):
        _take_all(browser, server)
