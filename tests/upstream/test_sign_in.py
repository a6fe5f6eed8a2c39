"""Signing in with an OpenID Connect issuer, as it should go."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.signin.browser import Browser, read
from tests.upstream.conftest import Scene
from tests.upstream.issuer import SUBJECT
from tests.wire.world import answer_parameters, parsed

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("S-457", "S-458", "S-460")
async def test_somebody_who_signs_in_elsewhere_consents_here_and_gives_the_client_a_token(
    scene: Scene, browser: Browser
) -> None:
    client = await scene.place.client()
    page = await browser.follow(await browser.authorize(client))
    assert "Corp" in read(page).words
    location = await scene.leave(browser, page)
    sent = parse_qs(urlsplit(location).query)
    assert sent["redirect_uri"] == ["https://as.test/signin/back/corp"]
    assert sent["scope"] == ["openid profile email"]
    assert {"state", "nonce", "code_challenge"} <= set(sent)
    assert "prompt" not in sent
    cookie = browser.cookie
    consent = await browser.follow(await scene.come_back(browser, scene.issuer.approve(location)))
    assert browser.cookie != cookie
    assert f"corp:{SUBJECT}" in read(consent).words
    assert await scene.place.grants(f"corp:{SUBJECT}") == []
    allowed = await browser.answer(consent)
    tokens = parsed(await scene.place.world.exchange(client, answer_parameters(allowed)["code"]))
    called = (await scene.place.world.call(tokens.access)).json()
    assert called["user"] == f"corp:{SUBJECT}"
    assert called["props"] == {"username": f"corp:{SUBJECT}"}
    user = await scene.place.accounts.get(f"corp:{SUBJECT}")
    assert user is not None
    assert (user.name, user.password_hash, user.is_admin) == ("Ada Lovelace", "", False)
