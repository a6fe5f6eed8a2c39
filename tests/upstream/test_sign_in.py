"""Signing in with an OpenID Connect issuer, as it should go."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from grantwell.records import User
from grantwell.signin.upstream.identity import user_id_of
from grantwell.testing import FrozenClock
from grantwell_storage import MemoryStore, SQLStore
from tests.assertions.signing import signed
from tests.signin.browser import PASSWORD, Browser, form_of, read
from tests.upstream.conftest import Scene, each_store, running_scene
from tests.upstream.issuer import SUBJECT, Issuer, parameter
from tests.wire.world import answer_parameters, parsed

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@each_store
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


@pytest.mark.requirement("S-457", "S-159")
async def test_each_client_is_asked_for_though_its_user_signed_in_elsewhere_before(
    scene: Scene, browser: Browser
) -> None:
    await browser.answer(await scene.asked(browser, await scene.place.client()))
    other = await scene.place.client(client_name="Another", redirect_uris=["https://c2.test/cb"])
    page = await browser.follow(await browser.authorize(other))
    assert page.status_code == 200
    assert "Another" in read(page).words
    assert "c2.test" in read(page).words
    assert len(await scene.place.grants(f"corp:{SUBJECT}")) == 1
    assert len(scene.issuer.forms) == 1


@pytest.mark.requirement("G-564")
async def test_a_client_that_wants_a_fresh_sign_in_gets_one_there(scene: Scene, browser: Browser) -> None:
    await scene.sign_in(browser)
    client = await scene.place.client()
    scene.clock.advance(3600)
    for auth_time, status in (
        (scene.clock() - 3600, 403),
        (scene.clock() - 61, 403),
        (scene.clock(), 303),
        (None, 303),
    ):
        page = await browser.follow(await browser.authorize(client, prompt="login"))
        location = await scene.leave(browser, page)
        assert parameter(location, "prompt") == "login"
        scene.issuer.claims["auth_time"] = auth_time
        answer = await scene.come_back(browser, scene.issuer.approve(location))
        assert answer.status_code == status, auth_time
    assert (await browser.follow(answer)).status_code == 200


@each_store
@pytest.mark.requirement("G-565")
async def test_a_user_of_an_upstream_is_a_user_like_others_but_has_no_password(scene: Scene, browser: Browser) -> None:
    accounts, user_id = scene.place.accounts, f"corp:{SUBJECT}"
    assert (await scene.sign_in(browser)).status_code == 303
    for password in ("", PASSWORD, "\0"):
        assert await accounts.authenticate(user_id, password) is None
    assert "not signed in" in read(await scene.place.browser().sign_in(username=user_id)).words
    with pytest.raises(ValueError, match="signs in elsewhere"):
        await accounts.set_password(user_id, PASSWORD)
    assert (await accounts.set_admin(user_id, True)).is_admin
    scene.issuer.claims["name"] = "Augusta Ada King"
    assert (await scene.sign_in(scene.place.browser())).status_code == 303
    user = await accounts.get(user_id)
    assert user is not None
    assert (user.name, user.is_admin) == ("Augusta Ada King", True)
    assert await accounts.delete(user_id)
    assert "corp:" not in await scene.signed_in_as(browser)


@each_store
@pytest.mark.requirement("G-565")
async def test_a_user_who_was_disabled_stays_out_whatever_the_upstream_says(scene: Scene, browser: Browser) -> None:
    assert (await scene.sign_in(browser)).status_code == 303
    await scene.place.accounts.disable(f"corp:{SUBJECT}")
    for somebody in (browser, scene.place.browser()):
        refused = await scene.sign_in(somebody)
        assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
        assert "corp:" not in await scene.signed_in_as(somebody)
    await scene.place.accounts.enable(f"corp:{SUBJECT}")
    assert (await scene.sign_in(browser)).status_code == 303


@each_store
@pytest.mark.requirement("G-565")
async def test_somebody_who_comes_for_the_first_time_on_many_browsers_at_once_is_one_user(scene: Scene) -> None:
    browsers = [scene.place.browser() for _ in range(6)]
    answers = await asyncio.gather(*(scene.sign_in(browser) for browser in browsers))
    assert {answer.status_code for answer in answers} == {303}
    assert [user.user_id for user in (await scene.place.accounts.list()).items] == ["ada", f"corp:{SUBJECT}"]


@each_store
@pytest.mark.requirement("G-565", "A-323")
async def test_a_user_whom_somebody_wrote_into_the_database_is_not_signed_in(scene: Scene, browser: Browser) -> None:
    forged = User(
        user_id=f"corp:{SUBJECT}",
        password_hash="",
        is_admin=True,
        created_at=int(scene.clock()),
        disabled_at=None,
        version=1,
        mac=b"m" * 32,
    )
    assert await scene.place.store.add_user(forged)
    refused = await scene.sign_in(browser)
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)


@pytest.mark.requirement("G-565")
async def test_a_sign_in_out_of_a_session_that_ends_meanwhile_is_none(scene: Scene, browser: Browser) -> None:
    await scene.sign_in(browser)
    page = await browser.follow(await browser.authorize(await scene.place.client(), prompt="login"))
    location = await scene.leave(browser, page)
    delete = scene.place.accounts.delete

    def deleting(claims: dict[str, object]) -> str:
        deleted.append(asyncio.ensure_future(delete(f"corp:{SUBJECT}")))
        return signed(scene.issuer.keys[0], claims)

    deleted: list[asyncio.Future[bool]] = []
    scene.issuer.id_token = deleting
    answer = await scene.come_back(browser, scene.issuer.approve(location))
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert await deleted[0]


@pytest.mark.requirement("G-565")
async def test_no_two_subjects_are_one_user(scene: Scene) -> None:
    subjects = ["a", "A", "auth0|12", "a b", "a%20b", "a+b", "ä", "a:b", "corp:a", "~", "x" * 100, "x" * 101, "x" * 255]
    subjects += ["%7E", "\u202ea", "a/b", "é", "e\u0301", "ﬁ"]
    ids = [user_id_of("corp", subject) for subject in subjects]
    assert len(set(ids)) == len(subjects)
    assert ids[:4] == ["corp:a", "corp:A", "corp:auth0|12", "corp:a%20b"]
    for subject, user_id in zip(subjects, ids, strict=True):
        scene.issuer.claims["sub"] = subject
        assert (await scene.sign_in(scene.place.browser())).status_code == 303, subject
        assert await scene.place.accounts.get(user_id) is not None
        assert len(user_id) <= 128


@pytest.mark.requirement("G-565")
async def test_nobody_can_be_added_under_the_id_of_somebody_who_signs_in_elsewhere(scene: Scene) -> None:
    with pytest.raises(ValueError, match="a user id is"):
        await scene.place.accounts.add(f"corp:{SUBJECT}", PASSWORD)
    for user_id in ("ada", "corp:", ":x", "Corp:x", "corp:x y", f"corp:{'x' * 101}"):
        with pytest.raises(ValueError, match="not the id"):
            await scene.place.accounts.sign_in_upstream(user_id, name=None)


@pytest.mark.requirement("G-566")
async def test_what_an_id_token_does_not_say_is_asked_of_the_userinfo_endpoint(scene: Scene, browser: Browser) -> None:
    scene.issuer.claims = {"sub": SUBJECT}
    scene.issuer.userinfo = {"sub": SUBJECT, "preferred_username": "ada"}
    assert (await scene.sign_in(browser)).status_code == 303
    user = await scene.place.accounts.get(f"corp:{SUBJECT}")
    assert user is not None
    assert user.name == "ada"
    for answer in ({"sub": "Grace", "name": "Grace"}, {"name": "Ada"}):
        scene.issuer.userinfo = answer
        assert (await scene.sign_in(scene.place.browser())).status_code == 403
    scene.issuer.userinfo = None
    assert (await scene.sign_in(scene.place.browser())).status_code == 503
    scene.issuer.claims = {"sub": SUBJECT, "name": "Ada"}
    asked = len(scene.issuer.asked)
    assert (await scene.sign_in(scene.place.browser())).status_code == 303
    assert scene.issuer.asked[asked:] == ["/token"]


async def admits(store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock, **lists: object) -> bool:
    """Whether somebody with the claims of the issuer gets in where these lists hold."""
    async with running_scene(store, issuer, clock, **lists) as scene:
        browser = scene.place.browser()
        answer = await scene.sign_in(browser)
        page = read(answer).words
        assert (answer.status_code, "You are not admitted here" in page) in ((303, False), (403, True))
        return "corp:" in await scene.signed_in_as(browser)


@pytest.mark.requirement("G-567")
@pytest.mark.parametrize(
    ("claims", "admitted"),
    [
        ({"email": "ada@example.com", "email_verified": True}, True),
        ({"email": "ada@EXAMPLE.com", "email_verified": "true"}, True),
        ({"email": "ada@b\u00fccher.example", "email_verified": True}, True),
        ({"email": "ada@xn--bcher-kva.example", "email_verified": True}, True),
        ({"email": "ada@example.com"}, False),
        ({"email": "ada@example.com", "email_verified": False}, False),
        ({"email": "ada@example.com", "email_verified": "false"}, False),
        ({"email": "ada@example.com", "email_verified": 1}, False),
        ({"email": "ada@sub.example.com", "email_verified": True}, False),
        ({"email": "ada@evilexample.com", "email_verified": True}, False),
        ({"email": "ada@example.com.evil.test", "email_verified": True}, False),
        ({"email": "ada@example.com@evil.test", "email_verified": True}, False),
        ({"email": "ada@evil.test@example.com", "email_verified": True}, False),
        ({"email": "ada@example.com.", "email_verified": True}, False),
        ({"email": "ada@example.com\n", "email_verified": True}, False),
        ({"email": "ada@ex\u0430mple.com", "email_verified": True}, False),
        ({"email": "ada@\uff45xample.com", "email_verified": True}, False),
        ({"email": "ada@example.c\u006fm\u200b", "email_verified": True}, False),
        ({"email": "example.com", "email_verified": True}, False),
        ({"email": ["ada@example.com"], "email_verified": True}, False),
        ({"email_verified": True}, False),
    ],
    ids=repr,
)
async def test_a_domain_is_admitted_by_a_verified_address_in_exactly_that_domain(
    store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock, claims: dict[str, object], admitted: bool
) -> None:
    issuer.claims |= claims
    issuer.userinfo = {"sub": SUBJECT}
    assert await admits(store, issuer, clock, allowed_domains=["example.com", "b\u00fccher.example"]) is admitted


@pytest.mark.requirement("G-567")
async def test_an_address_and_its_verification_are_taken_from_one_place(
    store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock
) -> None:
    issuer.claims = {"sub": SUBJECT, "email_verified": True}
    issuer.userinfo = {"sub": SUBJECT, "email": "ada@example.com"}
    assert not await admits(store, issuer, clock, allowed_domains=["example.com"])
    issuer.userinfo["email_verified"] = True
    assert await admits(store, issuer, clock, allowed_domains=["example.com"])


@pytest.mark.requirement("G-567")
@pytest.mark.parametrize(
    ("groups", "admitted"),
    [
        (["x", "staff"], True),
        ("staff", True),
        (["Staff"], False),
        (["staff2"], False),
        ([], False),
        (None, False),
        ([["staff"]], False),
        ({"staff": True}, False),
    ],
    ids=repr,
)
async def test_a_group_is_admitted_by_exactly_its_name(
    store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock, groups: object, admitted: bool
) -> None:
    issuer.claims |= {"roles": groups}
    issuer.userinfo = {"sub": SUBJECT}
    assert await admits(store, issuer, clock, allowed_groups=["staff"], groups_claim="roles") is admitted


@pytest.mark.requirement("G-567")
async def test_lists_are_asked_at_every_sign_in_and_all_of_them(
    store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock
) -> None:
    lists = {"allowed_domains": ["example.com"], "allowed_groups": ["staff"]}
    claims = {"sub": SUBJECT, "name": "Ada", "email": "ada@example.com", "email_verified": True, "groups": ["staff"]}
    issuer.claims = claims
    assert await admits(store, issuer, clock, **lists)
    issuer.claims = claims | {"groups": []}
    assert not await admits(store, issuer, clock, **lists)
    issuer.claims = claims | {"email_verified": False}
    assert not await admits(store, issuer, clock, **lists)
    issuer.claims = claims
    assert await admits(store, issuer, clock, **lists)


@pytest.mark.requirement("G-564")
async def test_without_passwords_the_page_has_none(
    store: MemoryStore | SQLStore, issuer: Issuer, clock: FrozenClock
) -> None:
    async with running_scene(store, issuer, clock, passwords=False) as scene:
        browser = scene.place.browser()
        page = await browser.get("/signin")
        assert not [field for field in read(page).named("input") if field.get("name") == "password"]
        form = form_of(page, "/signin/with/corp") | {"username": "ada", "password": PASSWORD}
        refused = await browser.post("/signin", form)
        assert (refused.status_code, "set-cookie" in refused.headers) == (404, False)
        assert (await scene.sign_in(browser)).status_code == 303
