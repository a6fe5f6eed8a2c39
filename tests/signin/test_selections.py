"""What was seen of a selection, at its edges: words that are none, scopes of every kind, and changes in between."""

from __future__ import annotations

import pytest

from grantwell.config import OFFLINE_ACCESS
from grantwell.signin.selections import Selected
from grantwell.store import SignIn
from grantwell_storage import MemoryStore
from tests.signin.browser import PASSWORD, Place, form_of, read, running_place
from tests.signin.granting import add_grant, signed_in

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


@requirement("G-552")
@pytest.mark.parametrize("seen", ["", "1", "1.2", "x.1." + "0" * 64, "1.1." + "0" * 63, "1.1." + "0" * 65])
def test_what_is_no_word_of_a_selection_is_refused(seen: str) -> None:
    with pytest.raises(ValueError, match="nothing that was seen"):
        Selected((), complete=True).has_grown_since(seen)


@requirement("G-552")
def test_a_selection_of_nothing_has_not_grown_since_it_was_one() -> None:
    nothing = Selected((), complete=True)
    assert not nothing.has_grown_since(nothing.seen)
    assert (nothing.users, nothing.clients, nothing.last_used) == (0, 0, None)


@requirement("G-543")
async def test_a_connection_says_that_it_stays_and_names_scopes_that_nobody_describes_any_more(place: Place) -> None:
    browser = await signed_in(place)
    await add_grant(place, "one", await place.client(), scopes=("read", "no-longer", OFFLINE_ACCESS))
    words = " ".join(read(await browser.get("/account/connections")).words.split())
    assert "Read things read" in words
    assert "no-longer" in words
    assert str(place.world.provider.settings.issuer) in words
    assert OFFLINE_ACCESS in words


@requirement("G-546")
async def test_who_is_kept_out_while_their_password_changes_is_not_signed_in_again() -> None:
    class Store(MemoryStore):
        keeps_out = False

        async def sign_in(self, sign_in: SignIn) -> bool:
            return False if self.keeps_out else await super().sign_in(sign_in)

    store = Store()
    async with running_place(store) as place:
        browser = await signed_in(place)
        form = form_of(await browser.get("/account/password"), "/account/password")
        store.keeps_out = True
        typed = {"current": PASSWORD, "new": "battery staple", "again": "battery staple"}
        answer = await browser.post("/account/password", form | typed)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        store.keeps_out = False
        assert (await browser.get("/account")).status_code == 303
        assert (await place.browser().sign_in(password="battery staple")).status_code == 303
