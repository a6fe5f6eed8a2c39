"""The catalogue of `grantwell explain`: every cause that the sources can give has its advice, and none is made up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from grantwell.cli import advice
from grantwell.errors import OAuthError

SERVER = Path(advice.__file__).parents[2]
ROOMS = ("_flows", "_protocol", "_http", "signin", "provider.py")
# What makes an error of a code, a sentence and a reason; and what is given a reason or a sentence alone.
ERRORS = ("OAuthError", "AuthorizationError")
SENTENCES = ("ClientMetadataError", "RefusedRedirect")
REASONS = {"_refused", "refused", "registration_refused"}
# Reasons that come from somewhere else, and from where.
ELSEWHERE = {
    "error.reason": "another error, which is looked at where it is made",
    "reason": "what is passed to a function is looked at where it is called, what is chosen in one, where it is chosen",
    "str(error)": "the database's own words, Unsealable, or a spent budget",
    "refusal.reason": "a refusal of a page, which is looked at where it is made",
}


def trees() -> Iterator[tuple[str, str, ast.Module]]:
    """The sources in which refusals are made: the room, the name of the file, and what is in it."""
    for room in ROOMS:
        paths = [SERVER / room] if room.endswith(".py") else sorted((SERVER / room).rglob("*.py"))
        for path in paths:
            yield room, path.name, ast.parse(path.read_text(encoding="utf-8"))


def sample(node: ast.expr) -> str | None:
    """A text that an expression may yield; None if it is not a literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "x y" for part in node.values)  # type: ignore[misc]
    return None


def called(node: ast.AST) -> str:
    """The name of what is called, "" for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def causes() -> Iterator[tuple[str, str]]:
    """Where a cause is given, and a sample of it."""
    for room, name, tree in trees():
        for node in ast.walk(tree):
            where = f"{name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                yield from ((where, cause) for cause in causes_of_call(where, node))
            elif room == "signin":
                # What is chosen there is the reason of an event.
                continue
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason":
                yield from ((where, text) for text in [sample(node.value)] if text)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "unproven" in node.name:
                returned = (part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value)
                yield from ((where, text) for value in returned if (text := sample(value)))


def causes_of_call(where: str, node: ast.Call) -> Iterator[str]:
    """The cause of the error that a call makes, if it is one."""
    name, texts = called(node), [sample(argument) for argument in node.args]
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    if name in ERRORS:
        reason = given.get("reason")
        if reason is not None:
            text = sample(reason)
            assert text or ast.unparse(reason) in ELSEWHERE, f"{where}: {ast.unparse(reason)}"
            if text:
                yield text
        elif len(texts) > 1:
            if texts[1]:
                yield texts[1]
        elif texts and texts[0]:
            yield OAuthError(texts[0]).description
    elif name in SENTENCES or name in REASONS:
        yield from (text for text in texts[:1] if text)
    elif name == "Unsealable":
        yield from (text for text in texts if text)
    elif name in ("Refusal", "_refusal"):
        reason = given.get("reason")
        chosen = [sample(reason)] if reason is not None else texts
        yield from [text for text in chosen if text][:1]


FOUND = sorted({cause: where for where, cause in causes()}.items())


def fits(cause: str) -> bool:
    """Whether the catalogue has an entry for a cause."""
    return advice.advice_for("invalid_request", cause, "") != advice.advice_for("invalid_request", "", "of nobody")


@pytest.mark.requirement("G-505")
@pytest.mark.parametrize("cause", [pytest.param(cause, id=f"{where} {cause}"[:100]) for cause, where in FOUND])
def test_every_cause_that_the_sources_give_has_its_advice(cause: str) -> None:
    assert fits(cause), cause


@pytest.mark.requirement("G-505")
def test_the_walk_through_the_sources_finds_the_causes_of_each_kind() -> None:
    found = {cause for cause, _ in FOUND}
    assert len(found) > 150
    assert {
        "unknown client",
        "wrong or expired secret",
        "the client assertion was used before",
        "a retired refresh token",
        "The scope is malformed.",
        "A redirect URI must not have a fragment.",
        "The response type is not supported.",
        "registered for x y, presented x y",
        "no initial access token",
        "foreign_form",
        "The Host header is not of this server.",
    } <= found


@pytest.mark.requirement("G-505")
def test_the_catalogue_has_no_cause_that_nothing_gives() -> None:
    found = [cause for cause, _ in FOUND]
    described = {OAuthError(code).description for code in ("access_denied", "insufficient_scope", "invalid_target")}
    # Made where no walk comes: in the fetcher, in crypto, and for whom no reason is kept.
    elsewhere = [
        *described,
        "9 fetches are under way",
        "too many fetches for x in a minute",
        "x (grant y)",
        "unknown format of props",
        "props do not open",
        "the data key does not open",
        "the answer does not open",
    ]
    unused = [
        cause
        for _, entries in advice.CATALOGUE
        for cause in entries
        if not any(advice.fits(cause, text) for text in [*found, *elsewhere])
    ]
    assert unused == []


@pytest.mark.requirement("G-505")
def test_a_cause_that_nobody_knows_is_said_to_be_none_of_ours() -> None:
    assert "hook" in advice.advice_for("my_error", "Mine.", "because")
    assert "database" in advice.advice_for("temporarily_unavailable", "x", "the disk is full")
    assert "register again" in advice.advice_for("invalid_client", "Client authentication failed.", "unknown client")
