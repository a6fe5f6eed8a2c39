"""Sign-in at another site, in Chromium: the session is there again when the browser comes back from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect
from starlette.types import ASGIApp

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.signin import SignIn
from grantwell.signin.upstream import OIDC, UpstreamTokens
from grantwell_storage import MemoryStore
from tests.browser.clients import Client, Listener
from tests.browser.conftest import MILLISECONDS
from tests.browser.serving import serving
from tests.browser.window import Window
from tests.interop.javascript import install
from tests.upstream.test_oidc_provider import CLIENT, running_provider
from tests.wire.world import SCOPES, api

requirement = pytest.mark.requirement


def _only_this_machine(route: Route) -> None:
    if urlsplit(route.request.url).hostname in ("127.0.0.1", "localhost"):
        route.continue_()
    else:
        route.abort()  # a font of the provider's pages


@pytest.fixture
def window(chromium: Browser, listener: Listener, tmp_path: Path) -> Iterator[Window]:
    """A window that looks at a server whose people sign in at oidc-provider, which has another name: another site."""
    node = install(tmp_path, Path(__file__).parents[1] / "upstream" / "node")
    issuers: list[str] = []
    with ExitStack() as running:

        async def make(url: str) -> ASGIApp:
            redirect = f"{url}/signin/back/corp"
            provider = running_provider(node, "client_secret_basic", redirect=redirect, name="localhost")
            issuers.append(running.enter_context(provider))
            corp = OIDC(
                "corp",
                issuers[0],
                CLIENT["CLIENT_ID"],
                CLIENT["CLIENT_SECRET"],
                label="Corp",
                everybody=True,
                keep_tokens=True,
            )
            store, key = MemoryStore(), SecretKey(b"k" * 32)
            return OAuthProvider(
                issuer=url,
                store=store,
                secret_key=key,
                api_handlers={"/api": api},
                resources={"/api": Resource(scopes=SCOPES)},
                default_handler=SignIn(store, key, upstreams=[corp], passwords=False),
                token_exchange_callback=UpstreamTokens([corp]),
            )

        with serving(make) as url:
            context = chromium.new_context()
            context.set_default_timeout(MILLISECONDS)
            context.route("**/*", _only_this_machine)
            yield Window(context, context.new_page(), url)
            context.close()


@requirement("G-575", "S-457", "S-459")
def test_somebody_signs_in_at_another_site_and_comes_back_to_the_question(window: Window, listener: Listener) -> None:
    client = Client.registered(window.url, listener.redirect_uri, client_name="A desktop client")
    window.open(client.request(scope="read"))
    expect(window.page.locator("input[name=password]")).to_have_count(0)
    window.page.get_by_role("button", name="Continue with Corp").click()
    window.page.locator("input[name=login]").fill("ada")
    window.page.locator("input[name=password]").fill("any will do")
    window.page.get_by_role("button", name="Sign-in").click()
    window.page.get_by_role("button", name="Continue").click()
    window.page.wait_for_url(f"{window.url}/consent**")
    expect(window.page.locator("main")).to_contain_text("Ada Lovelace")
    expect(window.page.locator("main")).to_contain_text("corp:ada")
    window.press("allow")
    assert "code" in listener.answer()
    # A second question takes the browser there and back, and nobody is asked anything there.
    window.open(client.request(scope="read"))
    assert (window.path(), urlsplit(window.page.url).netloc) == ("/consent", urlsplit(window.url).netloc)
