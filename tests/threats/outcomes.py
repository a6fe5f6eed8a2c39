"""The safe outcomes of the catalogue, each as the function that checks one answer (section 0 of the threats).

A case names one, or several between bars of which one has to hold. A refusal changes no row and ends no credential.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.threats.exchanges import Answer, Request
from tests.wire.world import ISSUER, R1, R2

_SHAPE = re.compile(r"([A-Z]+)(?:\(([^()]*)\))?")
_MEMBER = re.compile(r'(\w+)="([ !#-\[\]-~]*)"')
_ERROR_TEXT = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")
_RESOURCE_METADATA = "/.well-known/oauth-protected-resource"


def check(expected: str, request: Request, answers: list[Answer]) -> None:
    """Check that what came is one of the outcomes that are safe."""
    failures: list[AssertionError] = []
    for alternative in expected.split(" | "):
        name, arguments = _parsed(alternative)
        try:
            OUTCOMES[name](request, answers, *arguments)
        except AssertionError as error:
            failures.append(error)
        else:
            return
    seen = [(answer.status, answer.raw[:600]) for answer in answers]
    raise AssertionError(f"{expected} was expected, not {seen}: {failures}")


def is_refusal(expected: str) -> bool:
    """Whether nothing may change with this outcome."""
    return all(_parsed(alternative)[0] not in _ACCEPTED for alternative in expected.split(" | "))


def check_names(expected: str) -> None:
    """Fail for a text that names no outcome."""
    for alternative in expected.split(" | "):
        assert _parsed(alternative)[0] in OUTCOMES, alternative


def _parsed(text: str) -> tuple[str, list[str]]:
    found = _SHAPE.fullmatch(text)
    assert found, text
    return found[1], [part for part in (found[2] or "").split(",") if part]


def _one(answers: list[Answer]) -> Answer:
    assert len(answers) == 1, f"{len(answers)} answers"
    return answers[0]


def _repeats_nothing(request: Request, answer: Answer) -> None:
    raw = answer.raw.decode("utf-8", "replace")
    assert not [value for value in request.suspicious if value in raw], "the answer repeats the request"


def shown_locally(request: Request, answers: list[Answer], status: str = "400") -> None:
    """LEP: a page of the server, without a way on."""
    answer = _one(answers)
    assert (answer.status, answer.is_page) == (int(status), True)
    assert answer.get("location") is None
    assert (answer.get("allow") is not None) == (status == "405")
    if request.method != "HEAD":
        assert [a for a in answer.page.named("a") if "://" in (a.get("href") or "")] == []
        _repeats_nothing(request, answer)


def linked_locally(request: Request, answers: list[Answer], error: str) -> None:
    """LINK: a page of the server, from which a click leads to the client, with what is wrong."""
    answer = _one(answers)
    assert (answer.status, answer.is_page, answer.get("location")) == (400, True, None)
    (link,) = answer.page.named("a")
    location = Answer(303, (("location", link["href"] or ""),), b"", b"")
    _check_error_redirect(request, location, error)


def redirected(request: Request, answers: list[Answer], error: str, state: str = "") -> None:
    """RERR: the client is told, at its own redirect URI; with `no state` it is not told what it sent."""
    answer = _one(answers)
    assert answer.status == 303
    assert answer.body == b""
    _check_error_redirect(request, answer, error, with_state=state != "no state")


def _check_error_redirect(request: Request, answer: Answer, error: str, *, with_state: bool = True) -> None:
    location = answer.get("location") or ""
    assert location.startswith(request.redirect_uri + ("&" if "?" in request.redirect_uri else "?")), location
    parameters = answer.redirect
    assert parameters.pop("error") == error
    assert _ERROR_TEXT.fullmatch(parameters.pop("error_description"))
    expected = {"iss": ISSUER}
    if with_state and request.parameters.get("state"):
        expected["state"] = request.parameters["state"]
    registered = {k: v for k, v in parameters.items() if f"{k}=" in request.redirect_uri or k in request.redirect_uri}
    assert {k: v for k, v in parameters.items() if k not in registered} == expected


def token_error(request: Request, answers: list[Answer], status: str, error: str) -> None:
    """TERR: an error as RFC 6749 section 5.2 has it, which nobody stores and which tells nothing but itself."""
    answer = _one(answers)
    assert answer.status == int(status)
    assert (answer.get("content-type"), answer.get("cache-control")) == ("application/json", "no-store")
    assert answer.get("pragma") == "no-cache"
    assert answer.get("location") is None
    if request.method != "HEAD":
        assert answer.json.keys() == {"error", "error_description"}
        assert answer.json["error"] == error
        assert _ERROR_TEXT.fullmatch(answer.json["error_description"])
        _repeats_nothing(request, answer)
    challenge = answer.get("www-authenticate")
    assert (challenge or "").startswith("Basic ") == (status == "401" and request.tried_basic)
    if status == "405":
        assert answer.get("allow")


def challenged(request: Request, answers: list[Answer], *arguments: str) -> None:
    """CHAL: the call is refused with a challenge of configured values; CHAL(error), or CHAL(status,error)."""
    answer = _one(answers)
    error = arguments[-1] if arguments else None
    status = int(arguments[0]) if len(arguments) == 2 else 401
    assert answer.status == status
    assert answer.get("cache-control") == "no-store"
    scheme, _, rest = (answer.get("www-authenticate") or "").partition(" ")
    members = _MEMBER.findall(rest)
    assert scheme == "Bearer"
    assert ", ".join(f'{name}="{value}"' for name, value in members) == rest
    assert dict(members)["resource_metadata"] in {
        f"{ISSUER}{_RESOURCE_METADATA}{resource.removeprefix(ISSUER)}" for resource in (R1, R2)
    }
    assert dict(members).get("error") == error
    if error is None:
        assert answer.body == b""
    elif request.method != "HEAD":
        assert answer.json["error"] == error
    _repeats_nothing(request, answer)


def missing(request: Request, answers: list[Answer]) -> None:
    """NONE: there is nothing at this place, and no redirect to another."""
    answer = _one(answers)
    assert answer.status == 404
    assert answer.get("location") is None
    _repeats_nothing(request, answer)


def unreadable(request: Request, answers: list[Answer], *statuses: str) -> None:
    """HTTP: what reads HTTP before us refuses the request; at most this one answer, and nothing behind it."""
    answer = _one(answers)
    assert str(answer.status) in (statuses or ("400",))
    assert not answer.is_page
    assert "json" not in (answer.get("content-type") or "")


def closed(request: Request, answers: list[Answer]) -> None:
    """CLOSED: the connection ends without an answer."""
    assert answers == []


def tokens(request: Request, answers: list[Answer], scope: str = "") -> None:
    """TOKENS: an answer with tokens, as RFC 6749 section 5.1 has it."""
    answer = _one(answers)
    assert answer.status == 200
    assert (answer.get("content-type"), answer.get("cache-control")) == ("application/json", "no-store")
    assert answer.get("pragma") == "no-cache"
    document = answer.json
    assert document["token_type"] == "Bearer"
    assert type(document["expires_in"]) is int
    assert 0 < document["expires_in"] <= 3600
    assert None not in document.values()
    if scope:
        assert document["scope"] == scope


def asked(request: Request, answers: list[Answer]) -> None:
    """ASKED: the request is valid, and its user is asked, on a page of the server."""
    answer = _one(answers)
    assert answer.status == 303
    assert re.fullmatch(r"/(signin|consent)\?i=[\w\-]+", answer.get("location") or "")


def granted(request: Request, answers: list[Answer]) -> None:
    """GRANTED: the browser is sent to the client with a code, to the bytes of its redirect URI."""
    answer = _one(answers)
    assert answer.status == 303
    location = answer.get("location") or ""
    assert location.startswith(request.redirect_uri + ("&" if "?" in request.redirect_uri else "?"))
    assert answer.redirect["code"]
    assert answer.redirect["iss"] == ISSUER


def revoked(request: Request, answers: list[Answer]) -> None:
    """REVOKED: the one answer of the revocation endpoint (RFC 7009 section 2.2)."""
    answer = _one(answers)
    assert (answer.status, answer.body) == (200, b"")


def registered(request: Request, answers: list[Answer]) -> None:
    """REGISTERED: a client, of the server's making."""
    answer = _one(answers)
    assert answer.status == 201
    assert re.fullmatch("[0-9a-f]{32}", answer.json["client_id"])
    assert answer.get("cache-control") == "no-store"


def called(request: Request, answers: list[Answer], user: str = "u2") -> None:
    """CALLED: the application was reached, by the user whose token it was."""
    answer = _one(answers)
    assert answer.status == 200
    if request.method != "HEAD":
        assert answer.json["user"] == user


def document(request: Request, answers: list[Answer], name: str = "issuer") -> None:
    """DOCUMENT: a metadata document in which every URL is of the issuer, whatever the request said."""
    answer = _one(answers)
    assert answer.status == 200
    assert answer.json["issuer" if name == "issuer" else "resource"] == (ISSUER if name == "issuer" else ISSUER + name)
    assert set(re.findall(r"https?://[^\"/]*", answer.text)) == {ISSUER}
    assert answer.get("vary") is None
    assert answer.get("access-control-allow-origin") == "*"


def other(request: Request, answers: list[Answer], *statuses: str) -> None:
    """STATUS: one answer with one of these statuses, which sends nobody anywhere and gives nothing."""
    answer = _one(answers)
    assert str(answer.status) in statuses
    assert answer.get("location") is None
    assert b"gw" + b"a_" not in answer.body


OUTCOMES: Mapping[str, Callable[..., None]] = {
    "LEP": shown_locally,
    "LINK": linked_locally,
    "RERR": redirected,
    "TERR": token_error,
    "CHAL": challenged,
    "NONE": missing,
    "HTTP": unreadable,
    "CLOSED": closed,
    "TOKENS": tokens,
    "ASKED": asked,
    "GRANTED": granted,
    "REVOKED": revoked,
    "REGISTERED": registered,
    "CALLED": called,
    "DOCUMENT": document,
    "STATUS": other,
}
_ACCEPTED = frozenset({"TOKENS", "ASKED", "GRANTED", "REVOKED", "REGISTERED", "CALLED"})
