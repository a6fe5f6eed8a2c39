"""`grantwell leak-drill`: that it finds what is planted, and that it says so when it cannot tell."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from grantwell._protocol import tokens
from grantwell.cli.leak_drill import collecting, haul, report
from grantwell.cli.leak_drill.haul import Haul
from grantwell.cli.leak_drill.spellings import Rank, Row, Text, texts_of_row
from grantwell_storage import metadata
from tests.cli.terminal import Terminal
from tests.cli.test_leak_drill_refusals import at_a_terminal
from tests.signin.browser import Browser, Place
from tests.test_leaks import Loot, a_day, code_in, cookie_of, drilled, registered, served_place
from tests.wire.world import parsed

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement

Findings = set[tuple[str, str]]


def stolen_copy(folder: Path, statements: Mapping[str, tuple[object, ...]], script: str = "") -> None:
    """Copy the database of a folder to `stolen.db`, and change the copy."""
    with closing(sqlite3.connect(folder / "stolen.db")) as copy:
        with closing(sqlite3.connect(folder / "oauth.db")) as source:
            source.backup(copy)
        copy.executescript(script)
        with copy:
            for statement, values in statements.items():
                assert copy.execute(statement, values).rowcount > 0, statement


def findings_in(document: Mapping[str, Any]) -> Findings:
    """What was accepted as what, and where it was."""
    return {(finding["kind"], place) for finding in document["accepted"] for place in finding["places"]}


def random_part(token: str) -> bytes:
    """The 32 random bytes of a token."""
    return base64.urlsafe_b64decode(token[-49:-6] + "=")


def planted(place: Place, loot: Loot, code: str) -> dict[str, tuple[object, ...]]:
    """A raw credential of each kind, each in another column: as text, encoded, in JSON, in bytes, or cut out."""
    first, other = loot.live[0], loot.live[1]
    secrets = [{"digest": "00" * 32}, {"raw": ["", loot.confidential["client_secret"]]}]
    return {
        "UPDATE oauth_clients SET name = ?": (first.access,),
        "UPDATE oauth_grants SET metadata = ?": (json.dumps({"a": [1, {"b": first.refresh}]}),),
        "UPDATE oauth_grants SET redirect_uri = ?": (f"https://c1.test/cb?code={code}&state=xyz",),
        "UPDATE oauth_clients SET jwks_uri = ?": (place.world.pkce.verifier,),
        "UPDATE oauth_interactions SET request = ?": (base64.b64encode(loot.cookie.encode()).decode(),),
        "UPDATE oauth_clients SET secrets = ? WHERE client_id = ?": (
            json.dumps(secrets),
            loot.confidential["client_id"],
        ),
        "UPDATE oauth_clients SET scopes = ?": (loot.public["registration_access_token"].encode().hex(),),
        "UPDATE oauth_access_tokens SET wrapped_key = ? WHERE grant_id = ?": (
            random_part(other.access),
            other.access[4:20],
        ),
        "UPDATE oauth_props SET ciphertext = ?": (b"\x00\xff" + other.access.encode() + b"\x01",),
    }


FOUND: Findings = {
    ("access token", "oauth_clients.name"),
    ("refresh token", "oauth_grants.metadata"),
    ("authorization code", "oauth_grants.redirect_uri"),
    ("session cookie", "oauth_interactions.request"),
    ("client secret (Basic)", "oauth_clients.secrets"),
    ("registration access token", "oauth_clients.scopes"),
    ("access token", "oauth_access_tokens.wrapped_key"),
    ("access token", "oauth_props.ciphertext"),
    ("initial access token", "oauth_users.user_id"),
}


@requirement("G-341", "A-319")
async def test_a_raw_credential_in_any_column_is_found_and_named_and_never_shown(tmp_path: Path) -> None:
    async with served_place(tmp_path, require_initial_access_token=True) as place:
        loot = await a_day(place)
        initial = await place.world.provider.helpers.create_initial_access_token()
        # Of a client of its own: a code that is exchanged ends the grants before it.
        code = await allowed(place, await registered(place, loot))
        stolen_copy(tmp_path, planted(place, loot, code) | {"UPDATE oauth_users SET user_id = ?": (initial,)})
        done = await drilled(place, tmp_path, "--json", database="stolen.db")
    assert done.returncode == 1, done.stderr
    assert done.stderr == "Error: The server accepted what was found at the places named above.\n"
    document = json.loads(done.stdout)
    found = findings_in(document)
    assert {finding for finding in found if finding[1] != "file stolen.db"} == FOUND
    assert ("access token", "file stolen.db") in found
    assert {kind for kind, _ in FOUND} <= {kind["kind"] for kind in document["attempts"] if kind["accepted"]}
    for secret in (*loot.secret.values(), initial, code):
        assert secret not in done.stdout + done.stderr


LOG = """started \xff
INFO 127.0.0.1 "GET /api" 200 authorization="Bearer {access}"
DEBUG cookie: grantwell-dev={cookie}; theme=dark
POST /token "grant_type=x&client_secret={secret}&client_id=y"
{{"event": "refresh", "token": "{refresh}"}}
"""


@requirement("G-341", "A-319")
async def test_a_credential_in_a_log_is_found_in_that_file(tmp_path: Path) -> None:
    async with served_place(tmp_path) as place:
        loot = await an_hour(place)
        log = LOG.format(
            access=loot.live[0].access,
            refresh=loot.live[0].refresh,
            cookie=loot.cookie,
            secret=loot.confidential["client_secret"],
        )
        (tmp_path / "app.log").write_text(log, encoding="latin-1")
        (tmp_path / "clean.log").write_text("a line of a log\n" * 1000)
        logs = [word for name in ("clean.log", "app.log") for word in ("--logs", str(tmp_path / name))]
        done = await said(place, tmp_path, *logs, code=1)
    for kind in ("access token", "session cookie", "client secret (form)", "refresh token"):
        assert f"ACCEPTED as {kind}: file {tmp_path}/app.log\n" in done.stdout
    assert f"file {tmp_path}/app.log holds 3 texts in the form of a token" in done.stdout
    assert "clean.log" not in done.stdout
    for line in log.splitlines():
        assert line[-40:] not in done.stdout


async def said(place: Place, folder: Path, *words: str, code: int = 0) -> Result:
    """What the command says of a served place, run in this process."""
    database = f"sqlite+aiosqlite:///{folder}/oauth.db"
    command = ["leak-drill", place.world.provider.settings.issuer, "--database-url", database, *words]
    return await asyncio.to_thread(Terminal(folder), *command, code=code)


async def an_hour(place: Place) -> Loot:
    """One client of each sort, one user who signed in, and one token."""
    loot = Loot()
    loot.public = await registered(place, loot)
    loot.confidential = await registered(place, loot, token_endpoint_auth_method="client_secret_post")
    browser = place.browser()
    code = await allowed(place, loot.public, browser)
    loot.cookie = cookie_of(browser)
    loot.live.append(parsed(await place.world.exchange(loot.public, code)))
    return loot


async def allowed(place: Place, client: Mapping[str, Any], browser: Browser | None = None) -> str:
    """The code of a user who allowed a client what it asked for."""
    browser = browser or place.browser()
    page = await browser.asked(client, resource=f"{place.world.provider.settings.issuer}/api")
    return code_in((await browser.answer(page)).headers["location"])


@requirement("G-340", "G-342")
async def test_a_limit_makes_it_a_sample_and_it_says_so(tmp_path: Path) -> None:
    async with served_place(tmp_path) as place:
        await an_hour(place)
        outcome = json.loads((await said(place, tmp_path, "--limit", "90", "--json")).stdout)
        done = await said(place, tmp_path, "--limit", "90")
    assert sum(kind["tried"] for kind in outcome["attempts"]) == 90
    assert 0 < outcome["texts"]["tried"] < 90 < outcome["texts"]["found"]
    assert "This is a sample, of what is nearest to the values: 90 of " in done.stdout
    assert done.stdout.endswith("90 attempts, accepted: 0.\n")


@requirement("G-340", "A-335")
async def test_the_database_is_left_as_it_is_and_no_copy_of_it_stays(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    async with served_place(tmp_path) as place:
        await an_hour(place)
        odd = '"odd ""name"" ü"'
        damaged = f"INSERT INTO {odd} VALUES (0.5, NULL, CAST(x'ff80' AS TEXT), '', x'', '[\"\\ud800\"]');"
        numbers = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 600) SELECT i % 9 FROM n"
        stolen_copy(tmp_path, {}, f"CREATE TABLE {odd} (a, b, c, d, e, f); {damaged} INSERT INTO {odd} (a) {numbers}")
        before = (tmp_path / "stolen.db").read_bytes()
        done = await drilled(place, tmp_path, "--limit", "2000", database="stolen.db", TMPDIR=str(copies))
    assert done.returncode == 0, done.stderr
    ours = len(metadata.tables) + 1  # with that of the schema version
    assert f"of {ours + 1} tables" in done.stdout
    assert (tmp_path / "stolen.db").read_bytes() == before
    assert list(copies.iterdir()) == []


# ── servers of which nothing can be told, or not everything ─────────────────────────────────────────────────────────


def instead(answer: Callable[[Scope], Response | None]) -> Callable[[ASGIApp], ASGIApp]:
    """A wrapper of a server that answers some requests itself."""

    def around(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            await (answer(scope) or app)(scope, receive, send)

        return wrapped

    return around


def at(path: str, response: Response, *, method: str | None = None) -> Callable[[Scope], Response | None]:
    """Answers one path, for one method if it is given."""
    return lambda scope: response if scope["path"] == path and method in (None, scope["method"]) else None


async def without_end() -> AsyncIterator[bytes]:
    """A body that goes on until the client leaves."""
    while True:
        yield b"more "
        await asyncio.sleep(0)


OPEN = PlainTextResponse("come in")
NO_METADATA = "There is no OAuth authorization server at {issuer}: it has no metadata (RFC 8414)."
UNJUDGEABLE = {
    "resources that take any token": (
        lambda scope: OPEN if scope["path"] in ("/api", "/other") else None,
        "No protected resource of {issuer} refuses a made-up token, so nothing can be told.",
    ),
    "a token endpoint that gives tokens to anybody": (
        at("/token", JSONResponse({"access_token": "x"})),
        "{issuer} takes any client_id for one it knows, so nothing can be told.",
    ),
    "a token endpoint that fails": (
        at("/token", PlainTextResponse("oops", 500)),
        "{issuer} does not refuse a made-up client secret (Basic), so nothing can be told.",
    ),
    "metadata of somebody else": (
        at("/.well-known/oauth-authorization-server", JSONResponse({"issuer": "https://other.test"})),
        "The server at {issuer} calls itself https://other.test; give that URL.",
    ),
    "metadata without a token endpoint": (
        lambda scope: JSONResponse({"issuer": f"http://{dict(scope['headers'])[b'host'].decode()}"}),
        "The server at {issuer} names no token endpoint of its own origin.",
    ),
    "no metadata": (lambda scope: PlainTextResponse("hello"), NO_METADATA),
    "metadata without an end": (lambda scope: PlainTextResponse(" " * 300_000), NO_METADATA),
    "a resource of a server without metadata": (
        lambda scope: (
            JSONResponse({"authorization_servers": [f"http://{dict(scope['headers'])[b'host'].decode()}"]})
            if "protected-resource" in scope["path"]
            else OPEN
        ),
        NO_METADATA,
    ),
    "a resource of another server": (
        lambda scope: (
            JSONResponse({"authorization_servers": ["https://other.test"]})
            if "protected-resource" in scope["path"]
            else OPEN
        ),
        "The authorization server of {issuer} is https://other.test; give that URL.",
    ),
    "resources that never end their answer": (
        lambda scope: StreamingResponse(without_end()) if scope["path"] in ("/api", "/other") else None,
        "No protected resource of {issuer} refuses a made-up token, so nothing can be told.",
    ),
}


@requirement("G-311", "G-342")
@pytest.mark.parametrize("case", UNJUDGEABLE)
async def test_where_nothing_can_be_told_that_is_the_error(tmp_path: Path, case: str) -> None:
    answer, sentence = UNJUDGEABLE[case]
    async with served_place(tmp_path, around=instead(answer)) as place:
        await place.trusted_client(token_endpoint_auth_method="client_secret_basic")
        done = await said(place, tmp_path, code=1)
    assert done.stderr == f"Error: {sentence.format(issuer=place.world.provider.settings.issuer)}\n"
    assert done.stdout == ""


@requirement("G-311", "G-342")
@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
async def test_the_database_of_another_server_proves_nothing(tmp_path: Path, method: str) -> None:
    for name in ("served", "other"):
        (tmp_path / name).mkdir()
    async with served_place(tmp_path / "other") as place:
        await place.trusted_client(token_endpoint_auth_method=method)
    async with served_place(tmp_path / "served") as place:
        await place.trusted_client(token_endpoint_auth_method=method)
        done = await said(place, tmp_path / "other", code=1)
    issuer = place.world.provider.settings.issuer
    sentence = f"{issuer} knows no client of this database; is it the database of another server?"
    assert done.stderr == f"Error: {sentence}\n"


@requirement("G-342")
async def test_an_empty_database_proves_nothing(tmp_path: Path) -> None:
    async with served_place(tmp_path) as place:
        (tmp_path / "empty.db").touch()
        done = await drilled(place, tmp_path, database="empty.db")
    assert (done.returncode, done.stderr) == (1, "Error: Nothing could be tried, so nothing is proven.\n")


def document_of(scope: Scope) -> Response | None:
    """Metadata in which much is somebody else's."""
    if scope["path"] != "/.well-known/oauth-authorization-server":
        return None
    issuer = f"http://{dict(scope['headers'])[b'host'].decode()}"
    return JSONResponse(
        {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/token",
            "introspection_endpoint": "https://other.test/introspect",
            "registration_endpoint": 7,
            "protected_resources": [f"{issuer}/api", "https://other.test/api", None],
        }
    )


@requirement("G-342", "G-343")
async def test_nothing_is_sent_to_other_origins_that_the_server_names(tmp_path: Path) -> None:
    async with served_place(tmp_path, around=instead(document_of)) as place:
        await place.trusted_client()
        done = await said(place, tmp_path, "--json")
    assert json.loads(done.stdout)["not_tried"][:2] == [
        "anything at https://other.test/introspect: it is at another origin",
        "anything at https://other.test/api: it is at another origin",
    ]


@requirement("G-342")
async def test_the_address_of_a_resource_leads_to_its_server(tmp_path: Path) -> None:
    async with served_place(tmp_path) as place:
        await place.trusted_client()
        url = place.world.provider.settings.issuer + "/api/"
        database = f"sqlite+aiosqlite:///{tmp_path}/oauth.db"
        command = ["leak-drill", url, "--limit", "100", "--database-url", database]
        done = await asyncio.to_thread(Terminal(tmp_path), *command)
    assert "100 attempts, accepted: 0.\n" in done.stdout


@requirement("G-342")
async def test_what_cannot_be_tried_is_named(tmp_path: Path) -> None:
    answer = at("/signin", PlainTextResponse("no pages here"))
    around = instead(lambda scope: answer(scope) or at("/other", OPEN)(scope))
    async with served_place(tmp_path, around=around, introspection_endpoint=None) as place:
        await place.trusted_client()
        done = await said(place, tmp_path, "--json")
    outcome = json.loads(done.stdout)
    issuer = place.world.provider.settings.issuer
    assert outcome["not_tried"] == [
        f"an access token at {issuer}/other: a made-up one is not refused there",
        "client secret (Basic): the server knows no confidential client of this database",
        "client secret (form): the server knows no confidential client of this database",
        "client assertion: the server knows no confidential client of this database",
        "initial access token: the server asks for none",
        f"session cookie: there is no sign-in page of Grantwell at {issuer}/signin",
    ]
    assert {kind["kind"] for kind in outcome["attempts"]} == {
        "access token",
        "refresh token",
        "authorization code",
        "registration access token",
    }


@requirement("G-342")
async def test_a_sign_in_page_that_is_never_the_same_tells_nothing(tmp_path: Path) -> None:
    count = itertools.count()

    def page(scope: Scope) -> Response | None:
        changing = PlainTextResponse(f"visit {next(count)}", headers={"Set-Cookie": "session=x"})
        return changing if scope["path"] == "/signin" else None

    async with served_place(tmp_path, around=instead(page)) as place:
        await place.trusted_client()
        done = await said(place, tmp_path, "--limit", "20")
    issuer = place.world.provider.settings.issuer
    assert f"Not tried as session cookie: there is no sign-in page of Grantwell at {issuer}/signin." in done.stdout


class Counting:
    """Lets some of the requests to a path through, to any if it is empty, and answers the others as it is told."""

    def __init__(self, response: ASGIApp, *, path: str = "/token", every: int = 1, after: int = 0) -> None:
        self._response = response
        self._path = path
        self._every = every
        self._after = after
        self.requests = 0

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """The server with this in front of it."""

        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            if self._path not in ("", scope["path"]):
                return await app(scope, receive, send)
            self.requests += 1
            instead = self.requests > self._after and self.requests % self._every == 0
            return await (self._response if instead else app)(scope, receive, send)

        return wrapped


async def breaks_off(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Begin an answer that never ends, and close the connection."""
    await send({"type": "http.response.start", "status": 400, "headers": [(b"content-length", b"10")]})


@requirement("G-342")
async def test_a_server_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    busy = Counting(PlainTextResponse("later", 503), every=97)
    async with served_place(tmp_path, around=busy) as place:
        await place.trusted_client()
        done = await said(place, tmp_path, "--limit", "400", "--json")
    assert busy.requests > 97
    assert all(kind["unanswered"] == 0 for kind in json.loads(done.stdout)["attempts"])


@requirement("G-342")
async def test_attempts_without_an_answer_prove_nothing(tmp_path: Path) -> None:
    async with served_place(tmp_path, around=Counting(PlainTextResponse("oops", 500), every=20, after=20)) as place:
        await place.trusted_client()
        done = await said(place, tmp_path, "--limit", "400", "--json", code=1)
    unanswered = sum(kind["unanswered"] for kind in json.loads(done.stdout)["attempts"])
    assert unanswered > 0
    assert done.stderr == f"Error: {unanswered} attempts were not answered, so they prove nothing.\n"


@requirement("G-311", "G-342")
async def test_a_server_that_stops_answering_ends_the_drill(tmp_path: Path) -> None:
    async with served_place(tmp_path, around=Counting(breaks_off, path="", after=100)) as place:
        await place.trusted_client()
        done = await said(place, tmp_path, code=1)
    issuer = place.world.provider.settings.issuer
    assert done.stderr == f"Error: {issuer} cannot be reached: IncompleteRead.\n"
    assert done.stdout == ""


@requirement("G-342")
async def test_guesses_that_a_throttle_refused_are_counted_apart(tmp_path: Path) -> None:
    async with served_place(tmp_path, around=Counting(PlainTextResponse("enough", 429), after=20)) as place:
        await place.trusted_client(token_endpoint_auth_method="client_secret_basic")
        done = await said(place, tmp_path, "--limit", "400")
    rows = [line.rpartition(")") for line in done.stdout.splitlines() if line.startswith("client secret (Basic)")]
    tried, _, throttled, unanswered, accepted = map(int, rows[0][2].split())
    assert (0 < throttled < tried, unanswered, accepted) == (True, 0, 0)
    assert "attempts were refused as guesses (429)" in done.stdout


@requirement("G-340")
async def test_at_a_terminal_it_tells_how_far_it_is(tmp_path: Path) -> None:
    async with served_place(tmp_path) as place:
        await place.trusted_client()
        command = ["leak-drill", place.world.provider.settings.issuer, "--limit", "200"]
        command += ["--database-url", "sqlite+aiosqlite:///oauth.db"]
        said, code = await asyncio.to_thread(at_a_terminal, tmp_path, b"", *command)
    assert b"200 of 200 attempts" in said
    assert b"accepted: 0." in said
    assert code == 0


# ── what is made of a value ─────────────────────────────────────────────────────────────────────────────────────────

RANDOM = bytes(range(200, 232))
URLSAFE = base64.urlsafe_b64encode(RANDOM).decode().rstrip("=")
WORD = "correct-horse-battery-staple"
MADE = {
    "bytes": (RANDOM, {RANDOM.hex(), base64.b64encode(RANDOM).decode(), URLSAFE, URLSAFE + "="}),
    "bytes around text": (b"\x00" + WORD.encode() + b"\x01", {WORD}),
    "bytes that are text": (WORD.encode(), {WORD}),
    "text": (WORD, {WORD, base64.b64encode(WORD.encode()).decode()}),
    "hexadecimal": (RANDOM.hex(), {RANDOM.hex(), URLSAFE}),
    "base64": (URLSAFE, {URLSAFE, RANDOM.hex()}),
    "encoded text": (base64.b64encode(WORD.encode()).decode(), {WORD}),
    "JSON": (json.dumps({"k": [1, {"l": WORD}, None, True]}), {WORD, "1", "k", "l"}),
    "a URL": (f"https://c1.test/cb?code={WORD}&x=%2Fabcdefghijklmnopqrst", {WORD, "/abcdefghijklmnopqrst"}),
    "no JSON": ("{" * 5000, set[str]()),
    "a number": (12.5, {"12.5"}),
    "nothing": (None, set[str]()),
}


@requirement("G-340", "A-320")
@pytest.mark.parametrize("case", MADE)
def test_a_value_is_tried_in_every_spelling(case: str) -> None:
    value, expected = MADE[case]
    made = list(texts_of_row(Row(cells=(("t.c", value),))))
    assert expected <= {text.text for text in made}
    assert {text.place for text in made} <= {"t.c"}


@requirement("G-340", "A-320")
def test_tokens_are_forged_of_stored_bytes_for_the_grants_of_their_row() -> None:
    grant_id, family = "A" * 16, bytes(16)
    row = Row(cells=(("t.grant_id", grant_id), ("t.family", family), ("t.digest", RANDOM)), ids=(grant_id,))
    forged = {text.text for text in texts_of_row(row) if text.rank is Rank.FORGED}
    assert {
        tokens.format_access_token(grant_id, RANDOM),
        tokens.format_code(grant_id, RANDOM),
        tokens.format_refresh_token(grant_id, family, RANDOM),
        tokens.format_client_secret(RANDOM),
        tokens.format_initial_access_token(RANDOM),
        tokens.format_registration_access_token(RANDOM),
    } <= forged
    lent = texts_of_row(Row(cells=(("t.digest", RANDOM.hex()),)), grant_ids=["B" * 16])
    assert tokens.format_access_token("B" * 16, RANDOM) in {text.text for text in lent}


@requirement("G-342")
def test_what_there_is_no_room_for_is_left_out_by_rank_and_counted() -> None:
    held = Haul(10)
    for i in range(1000):
        held.add(Text(Rank.PIECE if i % 100 else Rank.VALUE, f"text {i}", "t.a"))
    held.add(Text(Rank.PIECE, "text 100", "t.b"), ["id"])
    texts = held.texts()
    assert {text.text for text in texts} == {f"text {i}" for i in range(0, 1000, 100)}
    assert held.found == 1000
    again = next(text for text in texts if text.text == "text 100")
    assert (again.places, again.ids, again.rank) == (["t.a", "t.b"], ["id"], Rank.VALUE)
    assert "text" not in repr(again).replace("form", "")


@requirement("G-342")
async def test_counting_texts_ends_where_it_would_take_too_much_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(haul, "MOST_COUNTED", 70)
    monkeypatch.setattr(report, "MOST_COUNTED", 70)
    async with served_place(tmp_path) as place:
        await place.trusted_client()
        done = await said(place, tmp_path, "--limit", "50")
        outcome = json.loads((await said(place, tmp_path, "--limit", "50", "--json")).stdout)
    assert "made more than 70 texts; " in done.stdout
    assert (outcome["texts"]["found"], outcome["texts"]["all_counted"]) == (70, False)


@requirement("G-342")
async def test_of_very_many_clients_those_of_what_was_found_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "_MOST_CLIENTS_SAMPLED", 1)
    async with served_place(tmp_path) as place:
        for _ in range(8):
            loot = await an_hour(place)
        (tmp_path / "app.log").write_text(loot.live[0].refresh)
        done = await said(place, tmp_path, "--limit", "60", "--logs", str(tmp_path / "app.log"), code=1)
    assert f"ACCEPTED as refresh token: file {tmp_path}/app.log" in done.stdout
