"""What an operator ends: what was shown before, no more than that, and only by a sign-in of the last quarter hour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from grantwell.signin import selections
from grantwell.signin.returning import FRESH_SECONDS
from tests.signin.browser import Browser, Place, form_of, read
from tests.signin.granting import add_grant, connect, signed_in
from tests.signin.test_admin_pages import DAY, links, operator, words
from tests.wire.world import nothing_changes

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

END, DELETE, ACCESS = "/admin/grants/end", "/admin/client/delete", "/admin/user/access"


async def live(place: Place) -> set[str]:
    """The ids of the grants that have not ended."""
    return {grant.grant_id for grant in (await place.world.provider.helpers.list_grants()).items}


@requirement("S-169", "G-551")
async def test_what_was_shown_ends_and_its_next_request_is_refused(place: Place) -> None:
    browser, ada = await operator(place), await signed_in(place)
    client = await place.client(client_name="Notes")
    tokens = await connect(ada, client)
    await add_grant(place, "of-bob", client, user_id="bob")
    kept = await connect(ada, await place.client())
    preview = await browser.get(END, params={"client": client["client_id"]})
    assert f"Only to the client {client['client_id']} Grants 2 Users 2 Clients 1" in words(preview)
    assert "End 2 grants" in words(preview)
    done = await browser.follow(await browser.post(END, form_of(preview, END)))
    assert "2 grants have ended" in words(done)
    assert (await place.world.call(tokens.access)).status_code == 401
    assert (await place.world.call(kept.access)).status_code == 200
    assert "nothing to end" in words(await browser.get(END, params={"client": client["client_id"]}))


@requirement("G-551")
async def test_one_grant_ends_alone(place: Place) -> None:
    browser = await operator(place)
    for name in ("one", "two"):
        await add_grant(place, name, await place.client())
    preview = await browser.get(END, params={"grant": "one"})
    assert "1 grant has ended" in words(await browser.follow(await browser.post(END, form_of(preview, END))))
    assert await live(place) == {"two"}
    for gone in ("one", "no-such-grant"):
        assert "nothing to end" in words(await browser.get(END, params={"grant": gone}))


@requirement("G-551")
async def test_old_and_unused_grants_end_by_the_instants_that_were_shown(place: Place) -> None:
    browser = await operator(place)
    client, now = await place.client(), int(place.world.clock())
    await add_grant(place, "unused", client, created_at=now - 40 * DAY)
    await add_grant(place, "used", client, created_at=now - 40 * DAY, last_used_at=now)
    await add_grant(place, "younger", client, created_at=now - 30 * DAY + 60)
    [link] = links(await browser.get("/admin/grants", params={"older": "30", "unused": "30"}), f"{END}?created_before")
    place.world.clock.advance(120)
    preview = await browser.get(link)
    assert "Only from before 2025-05-16 15:06 UTC Only unused since 2025-05-16 15:06 UTC" in words(preview)
    await browser.post(END, form_of(preview, END))
    assert await live(place) == {"used", "younger"}


@requirement("G-552")
async def test_a_selection_that_grew_is_shown_again_and_nothing_ends(place: Place) -> None:
    browser = await operator(place)
    client = await place.client()
    await add_grant(place, "one", client)
    for path, parameters in ((END, {"client": client["client_id"]}), (DELETE, {"id": client["client_id"]}), (END, {})):
        preview = await browser.get(path, params=parameters)
        before = await live(place)
        # In the same second, and one second later, with another one gone meanwhile.
        for name, later in ((f"a{path}{parameters}", 0), (f"z{path}{parameters}", 1)):
            place.world.clock.advance(later)
            await add_grant(place, name, client)
            await place.world.provider.helpers.revoke_grant(sorted(before)[0])
            with nothing_changes(place.world):
                shown = await browser.post(path, form_of(preview, path))
            assert shown.status_code == 409
            assert "more than you were shown" in words(shown)
            preview = shown
            before = await live(place)
    assert (await browser.post(END, form_of(preview, END))).status_code == 303
    assert await live(place) == set()


@requirement("G-552")
async def test_a_user_who_let_in_more_meanwhile_is_shown_again(place: Place) -> None:
    browser = await operator(place)
    client = await place.client()
    preview = await browser.get(ACCESS, params={"id": "ada"})
    place.world.clock.advance(1)
    await add_grant(place, "one", client)
    with nothing_changes(place.world):
        shown = await browser.post(ACCESS, form_of(preview, ACCESS))
    assert shown.status_code == 409
    assert (await browser.post(ACCESS, form_of(shown, ACCESS))).status_code == 303


@requirement("G-551")
async def test_a_selection_that_shrank_ends_as_far_as_it_is_there(place: Place) -> None:
    browser = await operator(place)
    client = await place.client()
    now = int(place.world.clock())
    for n in range(3):
        await add_grant(place, f"g{n}", client, created_at=now - n)
    preview = await browser.get(END, params={"client": client["client_id"]})
    await place.world.provider.helpers.revoke_grant("g1")
    done = await browser.follow(await browser.post(END, form_of(preview, END)))
    assert "2 grants have ended" in words(done)


@requirement("G-551")
async def test_more_than_one_form_ends_is_ended_in_parts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("grantwell.signin.selections", "grantwell.signin.admin.ending"):
        monkeypatch.setattr(f"{module}.MOST_ENDED", 3)
    assert selections.MOST_ENDED == 3
    browser = await operator(place)
    client, now = await place.client(), int(place.world.clock())
    for n in range(5):
        await add_grant(place, f"g{n}", client, created_at=now - n)
    preview = await browser.get(END, params={"client": client["client_id"]})
    assert "The newest 3 end now" in words(preview)
    rest = await browser.follow(await browser.post(END, form_of(preview, END)))
    assert "3 grants have ended" in words(rest)
    assert await live(place) == {"g3", "g4"}
    await browser.post(END, form_of(rest, END))
    assert await live(place) == set()


@requirement("G-551", "S-125")
async def test_a_client_is_deleted_with_what_was_granted_to_it(place: Place) -> None:
    browser, ada = await operator(place), await signed_in(place)
    client = await place.client(client_name="Notes")
    tokens = await connect(ada, client)
    preview = await browser.get(DELETE, params={"id": client["client_id"]})
    assert "can register again" in words(preview)
    done = await browser.follow(await browser.post(DELETE, form_of(preview, DELETE)))
    assert "The client is deleted" in words(done)
    assert (await place.world.call(tokens.access)).status_code == 401
    assert await place.world.provider.helpers.lookup_client(client["client_id"]) is None
    assert (await browser.post(DELETE, form_of(preview, DELETE))).status_code == 404


@requirement("G-553")
async def test_a_user_is_kept_out_at_once_and_let_in_again(place: Place) -> None:
    browser, ada = await operator(place), await signed_in(place)
    tokens = await connect(ada, await place.client())
    preview = await browser.get(ACCESS, params={"id": "ada"})
    assert "Signed-in browsers 1 Grants 1" in words(preview)
    done = await browser.follow(await browser.post(ACCESS, form_of(preview, ACCESS)))
    assert "kept out" in words(done)
    assert (await place.world.call(tokens.access)).status_code == 401
    assert (await ada.get("/account")).status_code == 303
    assert (await place.browser().sign_in()).status_code == 403
    again = await browser.get(ACCESS, params={"id": "ada"})
    # The form that kept them out is over; it does not let them in.
    with nothing_changes(place.world):
        assert (await browser.post(ACCESS, form_of(preview, ACCESS))).status_code == 403
    assert "can sign in again" in words(await browser.follow(await browser.post(ACCESS, form_of(again, ACCESS))))
    assert (await place.browser().sign_in()).status_code == 303


@requirement("G-553")
async def test_nobody_keeps_themselves_out(place: Place) -> None:
    browser = await operator(place)
    page = await browser.get(ACCESS, params={"id": "root"})
    assert "This is you" in words(page)
    assert ACCESS not in [action for action, _ in read(page).forms]


@requirement("G-551", "G-553", "S-473")
async def test_what_an_operator_does_is_kept_with_who_did_it(place: Place) -> None:
    browser = await operator(place)
    client = await place.client()
    await add_grant(place, "one", client)
    for path, parameters in ((END, {"grant": "one"}), (DELETE, {"id": client["client_id"]}), (ACCESS, {"id": "ada"})):
        preview = await browser.get(path, params=parameters)
        await browser.post(path, form_of(preview, path))
    kept = (await place.world.provider.helpers.list_events(limit=3)).items
    assert (kept[2].user_id, kept[2].client_id, kept[2].grant_id) == ("ada", client["client_id"], "one")
    assert [(event.name, event.actor, event.address) for event in kept] == [
        ("user_disabled", "user:root", "203.0.113.5"),
        ("client_deleted", "user:root", "203.0.113.5"),
        ("grant_revoked", "user:root", "203.0.113.5"),
    ]


Filled = Callable[[Browser, str], Awaitable[tuple[str, dict[str, str]]]]


async def ending(browser: Browser, client_id: str) -> tuple[str, dict[str, str]]:
    return END, form_of(await browser.get(END, params={"client": client_id}), END)


async def deleting(browser: Browser, client_id: str) -> tuple[str, dict[str, str]]:
    return DELETE, form_of(await browser.get(DELETE, params={"id": client_id}), DELETE)


async def keeping_out(browser: Browser, client_id: str) -> tuple[str, dict[str, str]]:
    return ACCESS, form_of(await browser.get(ACCESS, params={"id": "ada"}), ACCESS)


FORMS = (ending, deleting, keeping_out)


@requirement("G-554", "S-474", "A-223")
@pytest.mark.parametrize("filled", FORMS)
async def test_a_form_of_an_operator_counts_only_from_the_page_it_was_shown_on(place: Place, filled: Filled) -> None:
    browser = await operator(place)
    client, other = (await place.client())["client_id"], (await place.client())["client_id"]
    for name, of in (("one", client), ("two", other)):
        await add_grant(place, name, {"client_id": of, "redirect_uris": ["https://c1.test/cb"]})
    path, form = await filled(browser, client)
    again, second = await operator(place), await operator(place, "second")
    _, of_second = await filled(second, client)
    anonymous, ada = place.browser(), await signed_in(place)
    with nothing_changes(place.world):
        for token in ("", "0" * 64, form["csrf"][:-1], of_second["csrf"]):
            assert (await browser.post(path, form | {"csrf": token})).status_code == 403
        for site in ("cross-site", "same-site"):
            assert (await browser.post(path, form, headers={"Sec-Fetch-Site": site})).status_code == 403
        assert (await browser.get(path, params=form)).status_code == 400
        for stranger, status in ((again, 403), (second, 403), (anonymous, 404), (ada, 404)):
            assert (await stranger.post(path, form)).status_code == status
        # Another selection than the one that was shown, and another count of it.
        changes = [{"client": other}, {"user": "ada"}, {"grant": "two"}] if path == END else [{"id": "root"}]
        for change in (*changes, {"seen": "9" + form["seen"]}, {"seen": ""}):
            assert (await browser.post(path, form | change)).status_code in (403, 404)
        for wrong in ("unused_since", "created_before"):
            if path == END:
                assert (await browser.post(path, form | {wrong: "x"})).status_code == 400
        for other_form in set(FORMS) - {filled}:
            _, another = await other_form(browser, client)
            assert (await browser.post(path, form | {"csrf": another["csrf"]})).status_code == 403
    cookie = browser.cookie
    await browser.post("/signout", form_of(await browser.get("/admin"), "/signout"))
    left = place.browser()
    left.http.cookies.set("__Host-grantwell", cookie)
    await browser.sign_in(username="root")
    with nothing_changes(place.world):
        assert (await left.post(path, form)).status_code == 404
        assert (await browser.post(path, form)).status_code == 403
    _, fresh = await filled(browser, client)
    assert (await browser.post(path, fresh)).status_code == 303


@requirement("G-541")
@pytest.mark.parametrize("filled", FORMS)
async def test_a_quarter_of_an_hour_after_the_sign_in_the_password_is_asked_for_again(
    place: Place, filled: Filled
) -> None:
    browser = await operator(place)
    client = await place.client()
    await add_grant(place, "one", client)
    path, form = await filled(browser, client["client_id"])
    place.world.clock.advance(FRESH_SECONDS + 1)
    assert (await browser.get("/admin/grants")).status_code == 200
    with nothing_changes(place.world):
        sent = await browser.post(path, form)
        assert sent.status_code == 303
    page = await browser.follow(sent)
    assert page.status_code == 200
    back = await browser.sign_in(page, username="root")
    shown = await browser.follow(back)
    assert form_of(shown, path).keys() == form.keys()
    looked = await browser.get(back.headers["location"])
    assert looked.status_code == 200
    with nothing_changes(place.world):
        assert (await browser.post(path, form)).status_code == 403
    assert (await browser.post(path, form_of(shown, path))).status_code == 303


@requirement("G-549")
async def test_an_operator_who_is_none_any_more_acts_no_more(place: Place) -> None:
    browser = await operator(place)
    await add_grant(place, "one", await place.client())
    form = form_of(await browser.get(END), END)
    await place.accounts.set_admin("root", False)
    with nothing_changes(place.world):
        assert (await browser.post(END, form)).status_code == 404
