"""A browser window of a person: what they do on the pages, and what the browser noticed that must never happen."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request

from tests.browser.clients import Client
from tests.cli.processes import DEMO_PASSWORD

USER = "demo"
DESKTOP, PHONE = (1280, 800), (360, 640)
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
LOOKS: list[tuple[Scheme, tuple[int, int]]] = [(scheme, size) for scheme in SCHEMES for size in (DESKTOP, PHONE)]
# Each scheme and each size once, for the pages that many others are like.
TWO_LOOKS: list[tuple[Scheme, tuple[int, int]]] = [("light", DESKTOP), ("dark", PHONE)]

_POLICY = re.compile(r"content security policy|trusted ?types?|violates the following", re.IGNORECASE)


@dataclass
class Window:
    """One window with a cookie jar of its own, at the address of a server."""

    context: BrowserContext
    page: Page
    url: str
    # Origins besides the server's that the browser may speak to: clients.
    known: set[str] = field(default_factory=set)
    dialogs: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Note what happens on a page of this window."""
        page.on("dialog", self._interrupted)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        page.on("request", self._asked)

    def _interrupted(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _heard(self, message: ConsoleMessage) -> None:
        if _POLICY.search(message.text):
            self.violations.append(message.text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def check(self) -> None:
        """Nothing ran that is not ours, nothing was blocked, and nobody else was asked for anything."""
        assert self.dialogs == []
        assert self.errors == []
        assert self.violations == []
        origins = {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in self.requests}
        assert origins <= {self.url, *self.known}, "somebody else was asked for something"

    def look(self, scheme: Scheme, size: tuple[int, int]) -> None:
        """Change the colour scheme and the size, and wait until nothing moves."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.come_to_rest()

    def come_to_rest(self) -> None:
        """Wait until every animation of the page is over."""
        self.page.evaluate("Promise.allSettled(document.getAnimations().map((moving) => moving.finished))")

    def open(self, path: str) -> int:
        """Open a page of the server; returns its status."""
        answer = self.page.goto(f"{self.url}{path}", wait_until="domcontentloaded")
        assert answer is not None
        return answer.status

    def path(self) -> str:
        """Where the window is, without the query."""
        return urlsplit(self.page.url).path

    def sign_in(self, user: str = USER, password: str = DEMO_PASSWORD) -> None:
        """Fill in the form for a password and send it."""
        self.page.locator("input[name=username]").fill(user)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("form:has(input[name=password]) button").click()

    def text(self) -> str:
        """What is to be read on the page."""
        return self.page.locator("body").inner_text()

    def ask(self, client: Client, **changes: str | None) -> None:
        """Come from a client, sign in where that is asked, and stop before the question."""
        self.open(client.request(**changes))
        if self.path() == "/signin":
            self.sign_in()
        self.page.wait_for_url("**/consent**")

    def allow(self, client: Client, **changes: str | None) -> None:
        """Come from a client and allow what it asks."""
        self.ask(client, **changes)
        self.press("allow")

    def press(self, decision: Literal["allow", "deny"]) -> None:
        """Answer the consent page, once it takes answers."""
        self.page.locator(f"button[name=decision][value={decision}]").click()

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than the window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
