"""What an authorization server may answer (RFC 7662): an exact answer is believed, and trouble is nobody's fault."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from tests.resource.place import CLIENT, RESOURCE, Place

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

STRINGS: list[Any] = [None, 1, 1.5, True, [], ["u1"], {}]
NUMBERS: list[Any] = [None, "1750003600", 1750003600.0, True, [1750003600], {}, "", 2**53]
WRONG: dict[str, list[Any]] = {
    "active": [None, "true", "false", 1, 0, [], {}, "True"],
    "aud": [None, 1, True, {}, {"aud": RESOURCE}, [RESOURCE, 1], [[RESOURCE]], [None]],
    "exp": NUMBERS,
    "iat": NUMBERS,
    "nbf": NUMBERS,
    "iss": STRINGS,
    "sub": [*STRINGS, ""],
    "username": STRINGS,
    "client_id": STRINGS,
    "grant_id": STRINGS,
    "token_type": STRINGS,
    "scope": [*STRINGS, " ", "a  b", "a b ", "a\tb", 'a"', "é", "x" * 129, " ".join(f"s{n}" for n in range(65))],
}
MALFORMED = [(name, value) for name, values in WRONG.items() for value in values]


def assert_unavailable(answer: httpx.Response) -> None:
    """The answer to a call whose token nobody can judge now: no challenge, so that no client throws it away."""
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in answer.headers


def literally(body: bytes | str, status: int = 200, **headers: str) -> Response:
    """An answer with this body."""
    given = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, status, given)


@requirement("S-123", "A-276")
@pytest.mark.parametrize(
    ("name", "value"), MALFORMED, ids=[f"{name}-{index}" for index, (name, _) in enumerate(MALFORMED)]
)
async def test_a_member_of_the_wrong_type_makes_the_whole_answer_worthless(place: Place, name: str, value: Any) -> None:
    token = place.issuer.token()
    place.issuer.claims[token][name] = value
    assert_unavailable(await place.call(token))
    assert place.app.ran == 0


@requirement("S-123", "A-276")
@pytest.mark.parametrize("name", ["active", "exp", "sub"])
async def test_so_does_a_member_that_is_missing(place: Place, name: str) -> None:
    assert_unavailable(await place.call(place.issuer.token(**{name: None})))
    assert place.app.ran == 0


@requirement("S-113")
async def test_a_token_without_an_audience_is_for_nobody(place: Place) -> None:
    answer = await place.call(place.issuer.token(aud=None))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert place.app.ran == 0


def active(place: Place, **changes: Any) -> str:
    """The text of a right answer, changed as written."""
    return json.dumps(place.issuer.claims[place.issuer.token(**changes)])


DOCUMENTS: dict[str, Callable[[Place], Response]] = {
    "empty": lambda _: literally(""),
    "null": lambda _: literally("null"),
    "true": lambda _: literally("true"),
    "array": lambda place: literally(f"[{active(place)}]"),
    "text behind it": lambda place: literally(active(place) + "x"),
    "second object": lambda place: literally(active(place) + "{}"),
    "cut off": lambda place: literally(active(place)[:-1]),
    "member twice": lambda place: literally('{"active":false,' + active(place)[1:]),
    "audience twice": lambda place: literally(active(place)[:-1] + f',"aud":"{RESOURCE}"}}'),
    "NaN": lambda place: literally(active(place)[:-1] + ',"x":NaN}'),
    "byte order mark": lambda place: literally("\ufeff" + active(place)),
    "UTF-16": lambda place: literally(active(place).encode("utf-16")),
    "deep": lambda place: literally(active(place)[:-1] + f',"x":{"[" * 9}{"]" * 9}}}'),
    "compressed": lambda place: literally(gzip.compress(active(place).encode()), content_encoding="gzip"),
    "large": lambda place: literally(active(place, props="x" * 90_000)),
    "no type": lambda place: Response(active(place)),
    "HTML": lambda place: literally(active(place), content_type="text/html"),
    "JWT": lambda place: literally(active(place), content_type="application/token-introspection+jwt"),
    "Latin-1": lambda place: literally(active(place), content_type="application/json; charset=latin-1"),
    "two types": lambda place: literally(active(place), content_type="application/json, text/html"),
    **{
        f"status {status}": lambda place, status=status: literally(active(place), status)  # type: ignore[misc]
        for status in (201, 202, 203, 206, 300, 400, 402, 403, 404, 405, 410, 418, 429, 500, 501, 502, 503, 504)
    },
    "no content": lambda _: Response(status_code=204),
    "redirect": lambda place: RedirectResponse(f"{place.issuer.url}/introspect?again", 307),
    "redirect by 302": lambda place: RedirectResponse(f"{place.issuer.url}/introspect", 302),
}


@requirement("S-123", "A-276", "S-110")
@pytest.mark.parametrize("kind", DOCUMENTS)
async def test_an_answer_that_is_not_exactly_one_is_trouble_and_never_a_refusal(place: Place, kind: str) -> None:
    token = place.issuer.token()
    assert (await place.call(token)).status_code == 200
    place.issuer.answer = lambda form: DOCUMENTS[kind](place)
    asked = len(place.issuer.asked)
    assert_unavailable(await place.call(token))
    assert place.app.ran == 1
    assert len(place.issuer.asked) == asked + 1, "a redirect is not followed, and nothing is asked twice"
    place.issuer.answer = None
    assert (await place.call(token)).status_code == 200


@requirement("S-123")
async def test_members_that_nobody_knows_are_ignored_and_props_may_be_any_json(place: Place) -> None:
    values: list[Any] = [{"a": [1, None, {"b": False}]}, "text", 5, False, [], {}]
    for props in values:
        token = place.issuer.token(ext={"x": None}, jti="1")
        place.issuer.claims[token]["props"] = props
        answer = await place.call(token)
        assert (answer.status_code, answer.json()["props"]) == (200, props)
    place.issuer.answer = lambda form: JSONResponse({"active": False, "exp": "x", "scope": 5})
    assert (await place.call(place.issuer.token())).status_code == 401


@requirement("S-123", "A-276", "S-246")
async def test_wrong_credentials_of_the_resource_server_are_an_error_of_its_own(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    token = place.issuer.token()
    place.issuer.credentials = (CLIENT[0], "another secret")
    assert_unavailable(await place.call(token))
    place.issuer.credentials = CLIENT
    place.issuer.answer = lambda form: JSONResponse({"error": "unauthorized_client"}, 403)
    assert_unavailable(await place.call(token))
    assert place.app.ran == 0
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert all(CLIENT[0] in record.getMessage() for record in errors)
