"""How the tests of the account and operator pages come by grants: by consent, or many at once by the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from grantwell.testing import samples
from tests.signin.browser import Browser, Place, read
from tests.wire.world import R1, Tokens, answer_parameters, parsed

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


async def connect(browser: Browser, client: Mapping[str, Any], **changes: Any) -> Tokens:
    """The tokens that a client gets whom the user of this browser lets in."""
    page = await browser.asked(client, **changes)
    code = answer_parameters(await browser.answer(page))["code"]
    sent = {name: changes[name] for name in ("redirect_uri",) if name in changes}
    return parsed(await browser.world.exchange(dict(client), code, **sent))


async def add_grant(place: Place, grant_id: str, client: Mapping[str, Any], **changes: Any) -> None:
    """A grant as consent and exchange leave it, with members of its own."""
    now = int(place.world.clock())
    new = samples.consent(grant_id, client_id=client["client_id"], user_id=changes.pop("user_id", "ada"), now=now)
    grant = replace(
        new.grant,
        resources=(R1,),
        scopes=("read",),
        redirect_uri=client["redirect_uris"][0],
        exchanged_at=now,
        expires_at=None,
    )
    stored = await place.store.add_grant(replace(new, grant=replace(grant, **changes)))
    assert stored == "added"


async def signed_in(place: Place, username: str = "ada", address: str = "203.0.113.5", agent: str = FIREFOX) -> Browser:
    """A browser on which somebody is signed in."""
    browser = place.browser(address)
    browser.http.headers["User-Agent"] = agent
    if await place.accounts.get(username) is None:
        await place.accounts.add(username, "correct horse")
    answer = await browser.sign_in(username=username)
    assert answer.status_code == 303, answer.text
    return browser


def forms_to(answer: Any, action: str) -> list[dict[str, str]]:
    """The fields of each form on a page that is sent to a path."""
    return [fields for target, fields in read(answer).forms if target == action]
