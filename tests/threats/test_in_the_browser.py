"""What the pages do in the hands of a browser, request after request: redirects, the issuer, codes, second answers."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.signin.browser import USER
from tests.threats.arena import Arena
from tests.threats.browsers import Visitor
from tests.threats.exchanges import Answer
from tests.wire.world import ISSUER

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


@requirement("A-035", "S-003", "S-004")
async def test_no_form_with_credentials_is_ever_sent_on_to_somebody_else(arena: Arena) -> None:
    visitor = Visitor(arena)
    client = await visitor.client()
    page = await visitor.get((await visitor.get(visitor.request(client))).get("location") or "")
    assert (await visitor.sign_in(page, password="wrong")).status == 403
    signed_in = await visitor.sign_in(page)
    assert signed_in.status == 303
    for decision in ("allow", "deny"):
        answered = await visitor.answer(await visitor.asked(client), decision)
        assert answered.status == 303
        assert answered.body == b""
    form = dict((await visitor.get("/signin")).page.forms)["/signout"]
    assert (await visitor.post("/signout", form)).status == 303


@requirement("A-056", "A-237")
async def test_hints_in_a_request_reach_no_page(arena: Arena) -> None:
    visitor = Visitor(arena)
    hint, locales = '"><svg onload=alert(1)>', "../../etc/passwd"
    client = await visitor.client()
    answer = await visitor.get(visitor.request(client, login_hint=hint, ui_locales=locales, display="<b>"))
    page = await visitor.get(answer.get("location") or "")
    question = await visitor.get((await visitor.sign_in(page)).get("location") or "")
    for shown in (page, question):
        assert shown.status == 200
        assert not [text for text in (hint, "svg onload", "passwd", "<b>") if text in shown.text]


@requirement("A-069", "S-055")
async def test_every_answer_of_the_authorization_endpoint_names_the_issuer_once(arena: Arena) -> None:
    visitor = Visitor(arena)
    client = await visitor.client()
    metadata = (await visitor.get("/.well-known/oauth-authorization-server")).json
    assert metadata["issuer"] == ISSUER
    assert metadata["authorization_response_iss_parameter_supported"] is True
    answers = {
        "success": await visitor.answer(await visitor.asked(client)),
        "access_denied": await visitor.answer(await visitor.asked(client), "deny"),
    }
    wrong: dict[str, dict[str, Any]] = {
        "unsupported_response_type": {"response_type": "token"},
        "invalid_request": {"code_challenge": None},
        "invalid_scope": {"scope": "admin"},
        "invalid_target": {"resource": "https://elsewhere.test/"},
        "request_not_supported": {"request": "x"},
        "request_uri_not_supported": {"request_uri": "https://evil.test/"},
        "interaction_required": {"prompt": "none"},
    }
    for error, changes in wrong.items():
        answers[error] = await visitor.get(visitor.request(client, **changes))
    for name, answer in answers.items():
        parameters = answer.redirect
        assert answer.status == 303, name
        assert parameters["iss"] == metadata["issuer"]
        assert (answer.get("location") or "").count("iss=") == 1
        assert ("code" in parameters) == (name == "success")
        assert parameters.get("error") == (None if name == "success" else name)


def loads_of(page: Answer) -> list[str]:
    """Every address that a browser would load with a page, without a click."""
    attributes = [attrs for _, attrs in page.page.elements]
    loaded = [attrs[name] for attrs in attributes for name in ("src", "srcset", "data", "background") if name in attrs]
    return [*(address or "" for address in loaded), *(link.get("href") or "" for link in page.page.named("link"))]


@requirement("A-070", "A-239")
async def test_a_code_is_in_its_location_alone_and_no_page_loads_anything_from_elsewhere(arena: Arena) -> None:
    visitor = Visitor(arena)
    client = await visitor.client()
    question = await visitor.asked(client)
    interaction = dict(question.page.forms)["/consent"]["i"]
    granted = await visitor.answer(question)
    code = granted.redirect["code"]
    assert granted.body == b""
    assert [name for name, value in granted.headers if code in value] == ["location"]
    assert (granted.get("referrer-policy"), granted.get("cache-control")) == ("no-referrer", "no-store")
    # Where the back button leads, and everything else that is there.
    for target in (f"/consent?i={interaction}", f"/signin?i={interaction}", "/signin", "/consent", "/signin.css"):
        page = await visitor.get(target)
        assert code not in page.raw.decode()
        assert [address for address in loads_of(page) if urlsplit(address).netloc] == []
    again = await visitor.answer(question)
    assert (again.status, code in again.raw.decode()) == (403, False)
    style = await visitor.get("/signin.css")
    assert not re.search(r"url\(|@import|//", style.text)
    for target, form in (("/consent", {"i": interaction}), ("/signin", {"i": interaction})):
        assert code not in (await visitor.post(target, form)).raw.decode()
    assert loads_of(question) == ["/signin.css"]


@requirement("A-071", "A-230")
@pytest.mark.parametrize("times", [2, 6])
async def test_an_answer_that_is_sent_several_times_gives_one_code(arena: Arena, times: int) -> None:
    visitor = Visitor(arena)
    client = await visitor.client()
    at_once = await visitor.asked(client)
    answers = await asyncio.gather(*(visitor.answer(at_once) for _ in range(times)))
    assert sorted(answer.status for answer in answers) == [303, *[403] * (times - 1)]
    in_series = await visitor.asked(client)
    answers = [await visitor.answer(in_series) for _ in range(times)]
    assert [answer.status for answer in answers] == [303, *[403] * (times - 1)]
    assert len(await arena.place.grants(USER)) == 2
    # And none that was allowed can be denied afterwards, which would send the client a second answer.
    assert (await visitor.answer(in_series, "deny")).status == 403


@requirement("A-291")
async def test_nothing_that_a_stranger_can_vary_stands_beside_a_form_token(arena: Arena) -> None:
    visitor = Visitor(arena)
    client = await visitor.client(client_name="Guess AAAA")
    stranger = Visitor(arena)
    sign_in = (await stranger.get(stranger.request(client))).get("location") or ""
    form = await stranger.get(sign_in)
    question = await visitor.asked(client)
    interaction = dict(question.page.forms)["/consent"]["i"]
    for guess in ("x=AAAA", "csrf=AAAA", "x=%22%20value%3D%22"):
        refused = await visitor.get(f"/consent?i={interaction}&{guess}")
        assert (refused.status, refused.page.forms) == (400, [])
    for line in ("Accept-Language: AAAA", "Referer: https://evil.test/AAAA", "User-Agent: AAAA"):
        same = await arena.ask("GET", f"/consent?i={interaction}", f"Cookie: {visitor.cookie}", line)
        assert same.body == question.body, "so that its compressed length tells nothing"
    await arena.place.world.provider.helpers.update_client(client["client_id"], {"client_name": "Guess AAAB"})
    other = await visitor.get(f"/consent?i={interaction}")
    assert "AAAB" in other.text
    tokens = {dict(page.page.forms)["/consent"]["csrf"] for page in (question, other)}
    assert len(tokens) == 2, "whoever changes what is shown changes the token with it"
    changed = await stranger.get(sign_in)
    assert ("AAAA" in form.text, "AAAB" in changed.text) == (True, True)
    assert len({dict(page.page.forms)["/signin"]["csrf"] for page in (form, changed)}) == 2
    assert (await stranger.sign_in(form)).status == 403
    assert (await stranger.sign_in(changed)).status == 303
