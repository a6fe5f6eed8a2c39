"""The session over TLS, as Chromium keeps it: a cookie that no other host, no script and no plain request gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from starlette.types import ASGIApp

from grantwell import OAuthProvider, SecretKey
from grantwell.crypto import Keyring
from grantwell.signin import Accounts, SignIn
from grantwell_storage import MemoryStore
from tests.browser.conftest import MILLISECONDS
from tests.browser.serving import serving
from tests.browser.window import USER, Window
from tests.cli.processes import DEMO_PASSWORD
from tests.interop.tls import make_certificates
from tests.signin.browser import COOKIE, cheap_hasher
from tests.wire.world import api

requirement = pytest.mark.requirement


async def _app(url: str) -> ASGIApp:
    store, key = MemoryStore(), SecretKey(b"k" * 32)
    await Accounts(store, Keyring(url, key), hasher=cheap_hasher()).add(USER, DEMO_PASSWORD)
    signin = SignIn(store, key, hasher=cheap_hasher())
    return OAuthProvider(issuer=url, store=store, secret_key=key, api_handlers={"/api": api}, default_handler=signin)


@pytest.fixture
def window(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    """A window that is looking at a server over TLS; the authority of its certificate is nobody's."""
    with serving(_app, make_certificates(tmp_path_factory.mktemp("tls"))) as url:
        context = chromium.new_context(ignore_https_errors=True)
        context.set_default_timeout(MILLISECONDS)
        window = Window(context, context.new_page(), url)
        window.watch(window.page)
        yield window
        context.close()
        window.check()


@requirement("A-244")
def test_chromium_keeps_the_session_as_a_host_cookie(window: Window) -> None:
    window.open("/signin")
    window.sign_in()
    expect(window.page.locator("main")).to_contain_text(USER)
    (cookie,) = window.context.cookies()
    assert cookie["name"] == COOKIE
    assert cookie["name"].startswith("__Host-")
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["domain"]) == ("/", "localhost"), "host-only: no dot in front"
    assert window.page.evaluate("document.cookie") == ""


@requirement("A-245", "A-247")
def test_a_cookie_that_somebody_planted_signs_nobody_in(window: Window) -> None:
    window.open("/signin")
    window.sign_in()
    expect(window.page.locator("input[name=password]")).to_have_count(0)
    (cookie,) = window.context.cookies()
    window.context.clear_cookies()
    # Without the attributes that the prefix asks for, Chromium itself does not take it, and under other names we don't.
    for name in (COOKIE.removeprefix("__Host-"), COOKIE.lower(), f"__Secure-{COOKIE.removeprefix('__Host-')}"):
        window.context.clear_cookies()
        window.context.add_cookies(
            [{"name": name, "value": cookie["value"], "domain": "localhost", "path": "/", "secure": True}]
        )
        window.open("/signin")
        expect(window.page.locator("input[name=password]")).to_be_visible()
