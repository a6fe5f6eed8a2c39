"""A real Chromium, a real demonstration server in processes of its own, and the windows that look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.accessibility import Axe
from tests.browser.chromium import running_chromium
from tests.browser.clients import Client, Listener, listening
from tests.browser.window import DESKTOP, Scheme, Window
from tests.cli.processes import Demo, demo_server
from tests.interop.javascript import install

MakeWindow = Callable[..., Window]

# An operation of the browser that takes longer than this has gone wrong.
MILLISECONDS = 10_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for each file of tests: while it is driven, no other event loop can run in the process."""
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Axe:
    """The rules of accessibility."""
    return Axe.of(install(tmp_path_factory.mktemp("axe"), Axe.SOURCES).folder)


@pytest.fixture(scope="module")
def demo(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A server for each file of tests."""
    with demo_server(tmp_path_factory.mktemp("demo"), "--no-access-log") as server:
        yield server


@pytest.fixture
def new_window(chromium: Browser, demo: Demo) -> Iterator[MakeWindow]:
    """Opens windows, each with a cookie jar of its own; at the end each tells what must not have happened."""
    windows: list[Window] = []

    def make(scheme: Scheme = "light", size: tuple[int, int] = DESKTOP, *, script: bool = True) -> Window:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, java_script_enabled=script
        )
        context.set_default_timeout(MILLISECONDS)
        window = Window(context, context.new_page(), demo.url)
        context.on("page", window.watch)
        window.watch(window.page)
        windows.append(window)
        return window

    yield make
    for window in windows:
        window.context.close()
    for window in windows:
        window.check()


@pytest.fixture
def window(new_window: MakeWindow) -> Window:
    """A window on a desktop, in light colours."""
    return new_window()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Where a client listens."""
    with listening() as place:
        yield place


@pytest.fixture
def client(demo: Demo, listener: Listener, window: Window) -> Client:
    """A client that nobody knows, which the window may be sent back to."""
    window.known.add(listener.origin)
    return Client.registered(demo.url, listener.redirect_uri, client_name="A desktop client")
