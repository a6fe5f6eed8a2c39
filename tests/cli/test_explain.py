"""`grantwell explain`: what stands behind a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from grantwell import OAuthProvider
from grantwell._protocol.tokens import format_access_token, format_code
from tests.cli.terminal import REDIRECT, Terminal

pytestmark = pytest.mark.requirement("G-505")


def refused(terminal: Terminal, method: str, path: str, parameters: Mapping[str, str]) -> str:
    """The reference under which a server keeps that it refused a request."""

    async def ask(provider: OAuthProvider) -> str:
        transport = httpx.ASGITransport(app=provider)
        options: dict[str, Any] = {"data": parameters} if method == "POST" else {"params": parameters}
        async with httpx.AsyncClient(transport=transport, base_url="https://api.example.com") as http:
            await http.request(method, path, **options)
        page = await provider.helpers.list_events(name="refused", limit=1)
        return page.items[0].reference

    return terminal.with_provider(ask)


def noted(terminal: Terminal, **changes: Any) -> str:
    """The reference of a refusal that a page noted."""
    told: dict[str, Any] = {
        "endpoint": "/authorize",
        "code": "invalid_request",
        "description": "The redirect URI is not registered for this client.",
        "reason": "redirect_uri",
        "status": 400,
    }

    async def note(provider: OAuthProvider) -> str:
        return provider.helpers.note_refusal(**told | changes)

    return terminal.with_provider(note)


def test_an_unknown_reference_is_one_sentence(migrated: Terminal) -> None:
    migrated.client()
    assert "Nothing is kept under 7KQ2-M9XD." in migrated("explain", "7KQ2-M9XD", code=1).stderr
    for odd in ("x", "7KQ2-M9X", "7KQ2-M9XDD", "7KQ2-M9XU", "grant-id"):
        assert "That is no reference" in migrated("explain", odd, code=1).stderr
    migrated("explain", "", code=2)
    migrated("explain", code=2)


def test_a_redirect_uri_is_shown_beside_those_that_are_registered_with_where_they_differ(migrated: Terminal) -> None:
    client = migrated.client("--redirect-uri", "https://c1.test/cb")["client_id"]
    reference = noted(migrated, client_id=client, inputs={"redirect_uri": "https://c1.test/Cb", "client_id": client})
    document = migrated.json("explain", reference)
    assert document["now"]["client"]["origin"] == "operator"
    first, second = document["now"]["redirect_uris"]
    assert first == {
        "redirect_uri": "https://c1.test/cb",
        "is_accepted": False,
        "position": 17,
        "sent": "C",
        "registered": "c",
        "beside": ["https://c1.test/Cb", "https://c1.test/cb"],
    }
    assert (second["redirect_uri"], second["position"]) == (REDIRECT, 5)
    lines = migrated("explain", reference).stdout.splitlines()
    sent = next(i for i, line in enumerate(lines) if line.endswith("sent        https://c1.test/Cb"))
    assert lines[sent + 1].endswith("registered  https://c1.test/cb")
    assert lines[sent][lines[sent + 2].index("^")] == "C"
    assert "^ character 17: “C”, not “c”" in lines[sent + 2]
    assert "Register this redirect URI" in document["advice"]


@pytest.mark.parametrize(
    ("sent", "position", "there", "expected"),
    [
        ("https://c1.test/cb/", 19, "/", ""),
        ("https://c1.test/c", 18, "", "b"),
        ("https://c1.test/cb\u200b", 19, "%", ""),
        ("https://c1.test/cb", None, "", ""),
    ],
)
def test_the_character_that_differs_is_named(
    migrated: Terminal, sent: str, position: int | None, there: str, expected: str
) -> None:
    client = migrated.json("clients", "create", "--public", "--redirect-uri", "https://c1.test/cb")["client_id"]
    reference = noted(migrated, client_id=client, inputs={"redirect_uri": sent})
    (compared,) = migrated.json("explain", reference)["now"]["redirect_uris"]
    assert (compared["position"], compared["sent"], compared["registered"]) == (position, there, expected)
    assert compared["is_accepted"] == (position is None)
    said = migrated("explain", reference).stdout
    assert ("which is accepted now" in said) == (position is None)


def test_on_loopback_the_port_is_no_difference(migrated: Terminal) -> None:
    client = migrated.client()["client_id"]
    for sent, position in (("http://127.0.0.1:4711/callback", 19), ("http://127.0.0.1:4711/cb", None)):
        (compared,) = migrated.json("explain", noted(migrated, client_id=client, inputs={"redirect_uri": sent}))["now"][
            "redirect_uris"
        ]
        assert (compared["position"], compared["is_accepted"]) == (position, position is None)


def test_a_reference_is_read_as_people_write_it_down(migrated: Terminal) -> None:
    reference = noted(migrated)
    misread = reference.lower().replace("0", "o").replace("1", "l")
    for written in (misread, reference.replace("-", ""), f" {reference[:4]} {reference[5:]}"):
        assert migrated.json("explain", written)["reference"] == reference


def test_a_wire_error_is_explained_with_what_was_sent_and_nothing_secret(migrated: Terminal) -> None:
    created = migrated.json("clients", "create", "--redirect-uri", REDIRECT)
    client = created["client_id"]
    form = {"grant_type": "refresh_token", "refresh_token": "gwr_x", "client_id": client, "client_secret": "hunter2"}
    reference = refused(migrated, "POST", "/token", form)
    document = migrated.json("explain", reference)
    assert (document["endpoint"], document["status"], document["code"]) == ("/token", 401, "invalid_client")
    assert document["inputs"] == {"client_id": client, "grant_type": "refresh_token"}
    assert document["client_id"] == client
    assert document["address"] == "127.0.0.1"
    said = migrated("explain", reference).stdout
    assert "hunter2" not in said
    assert f"The client {client} is there" in said


def test_a_client_that_is_gone_is_said_to_be_gone(migrated: Terminal) -> None:
    client = migrated.client()["client_id"]
    migrated("clients", "delete", client, "--yes")
    reference = refused(migrated, "POST", "/token", {"grant_type": "refresh_token", "client_id": client})
    document = migrated.json("explain", reference)
    assert document["now"]["client"] is None
    assert "has to register again" in document["advice"]
    assert f"There is no client {client}" in migrated("explain", reference).stdout


def test_a_grant_that_a_token_names_is_told_with_its_end(migrated: Terminal) -> None:
    client = migrated.client()["client_id"]
    grant = migrated.grant(client)
    migrated("grants", "revoke", grant, "--yes")
    # A code of this grant as its checksum wants it; nothing but the grant's id is kept of it.
    code = format_code(grant, b"s" * 32)
    form = {"grant_type": "authorization_code", "client_id": client, "code": code, "code_verifier": "v" * 43}
    reference = refused(migrated, "POST", "/token", form)
    document = migrated.json("explain", reference)
    assert document["grant_id"] == grant
    assert document["now"]["grant"]["state"].startswith("ended since")
    said = migrated("explain", reference).stdout
    assert f"The grant {grant} of u1 is ended since" in said
    assert "(operator)" in said
    assert code[20:] not in said


def test_a_grant_that_lives_is_told_as_it_is_and_one_that_is_gone_as_gone(migrated: Terminal) -> None:
    client = migrated.client()["client_id"]
    for grant, said in ((migrated.grant(client), "is pending."), ("A" * 16, "There is no grant")):
        form = {"grant_type": "refresh_token", "client_id": client, "token": format_access_token(grant, b"s" * 32)}
        assert said in migrated("explain", refused(migrated, "POST", "/token", form)).stdout


def test_a_user_is_told_with_whether_they_may_sign_in(migrated: Terminal) -> None:
    migrated("users", "add", "bob", GRANTWELL_PASSWORD="correct horse")
    migrated("users", "disable", "bob", "--yes")
    known, unknown = (noted(migrated, user_id=user, reason="foreign_form") for user in ("bob", "eve"))
    assert "The user bob is disabled." in migrated("explain", known).stdout
    assert migrated.json("explain", known)["now"]["user"]["disabled_at"] is not None
    assert "There is no user eve on the sign-in pages." in migrated("explain", unknown).stdout


def test_what_a_stranger_sent_plays_no_tricks_on_a_terminal(migrated: Terminal) -> None:
    hostile = "\x1b[2J\u202e\r\n[bold]" + "x" * 300
    reference = noted(migrated, inputs={"scope": hostile, "client_id": hostile, "redirect_uri": hostile})
    said = migrated("explain", reference).stdout
    assert not {"\x1b", "\u202e", "\r"} & set(said)
    assert "[bold]" in said
    assert max(map(len, said.splitlines())) < 400
