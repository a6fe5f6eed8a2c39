"""What holds after every case (oracles O1 to O5 of the threats), whatever the case itself is about."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote

from grantwell.crypto import digest_of
from tests.signin.browser import COOKIE
from tests.threats.exchanges import Answer

_PAGES = ("/authorize", "/signin", "/consent", "/signout")
_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
# Who tried how often, and when something was last used, is no state that a request could gain or lose anything by.
# Counters, and what is written behind the requests: nothing is decided by it.
_COUNTERS = ("oauth_throttles", "oauth_events")
_HOUSEKEEPING = frozenset({"last_used_at"})
_SHORTEST_SECRET = 12


class Canaries:
    """Every secret that was issued in a run, each of which may be seen by the one it was issued to, once."""

    def __init__(self) -> None:
        self._labels: dict[bytes, str] = {}

    def note(self, label: str, value: str) -> bytes:
        """Remember a secret, and return the part of it that nothing else can contain by chance."""
        # A token begins with its grant's id, which is no secret.
        random = (value[-40:] if value.startswith("gw") else value).encode()
        if len(random) >= _SHORTEST_SECRET:
            self._labels.setdefault(random, label)
        return random

    def found_in(self, data: bytes, *, but: Iterable[bytes] = (), among: Iterable[bytes] | None = None) -> list[str]:
        """The labels of the secrets in some bytes, except for those that may be there."""
        allowed = frozenset(but)
        wanted = self._labels if among is None else among
        return [self._labels[secret] for secret in wanted if secret not in allowed and secret in data]

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def known(self) -> tuple[bytes, ...]:
        """The secrets that were issued so far, in order."""
        return tuple(self._labels)


class Log(logging.Handler):
    """Every line that anything in this process logs, as it would be written to a file."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def issued_by(path: str, answer: Answer) -> Iterator[tuple[str, str]]:
    """The secrets that an answer is there to give, with what they are."""
    for cookie in answer.all("set-cookie"):
        name, _, value = cookie.partition(";")[0].partition("=")
        if name == COOKIE and value:
            yield "cookie", value
    if answer.status == 303 and "code=" in (answer.get("location") or ""):
        yield "code", answer.redirect.get("code", "")
    if answer.is_page:
        yield from (("form token", fields["csrf"]) for _, fields in answer.page.forms if "csrf" in fields)
    if (path, answer.status) in (("/token", 200), ("/register", 201)):
        members = ("access_token", "refresh_token", "client_secret")
        yield from ((name, answer.json[name]) for name in members if name in answer.json)


def check_answer(path: str, answer: Answer) -> None:
    """O1, O4 and O5: no failure of the server, every page safe in a browser, no cookie where no browser is."""
    assert answer.status < 500 or (answer.status == 503 and answer.get("retry-after")), answer.raw
    # The name is uvicorn's own, which the recommended command leaves out; a version is nobody's business.
    assert answer.get("server") in (None, "uvicorn")
    assert answer.get("x-powered-by") is None
    if answer.is_page:
        assert answer.get("content-security-policy") == _POLICY
        assert answer.get("x-frame-options") == "DENY"
        assert answer.get("x-content-type-options") == "nosniff"
        assert answer.get("referrer-policy") == "no-referrer"
        assert answer.get("cache-control") == "no-store"
        assert answer.get("refresh") is None
        page = answer.page
        assert [action for action, _ in page.forms if not action.startswith("/") or action.startswith("//")] == []
        assert not {"script", "img", "iframe", "object", "base", "svg"} & {tag for tag, _ in page.elements}
        assert not [a for _, a in page.elements if any(name.startswith("on") or name == "style" for name in a)]
    if unquote(path) not in _PAGES:
        assert answer.all("set-cookie") == [], path


class Redemptions:
    """O3 for codes: how often each was exchanged with success."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()

    def note(self, code: str) -> None:
        """Count one answer with tokens for a code."""
        self._counted[code] += 1
        assert self._counted[code] == 1, "a code was redeemed twice"


def files_of(folder: Path) -> dict[str, bytes]:
    """The database with whatever lies beside it."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def rows_of(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    """Everything that a database holds, but for counters of tries and the hour of the last use."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows: set[tuple[object, ...]] = set()
    for table in tables:
        if table not in _COUNTERS:
            cursor = connection.execute(f'SELECT * FROM "{table}"')
            kept = [at for at, column in enumerate(cursor.description) if column[0] not in _HOUSEKEEPING]
            rows |= {(table, *(row[at] for at in kept)) for row in cursor}
    return rows


@contextmanager
def nothing_changes(database: Path) -> Iterator[None]:
    """NSC: fails the test if what happens inside changes a row, of which counters are none."""
    with closing(_reader(database)) as now, closing(_reader(database)) as before:
        (version,) = now.execute("PRAGMA data_version").fetchone()
        before.execute("BEGIN")
        # The first read is what a transaction goes on seeing, whatever others write.
        before.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield
        if (version,) != now.execute("PRAGMA data_version").fetchone():
            changed = rows_of(now) ^ rows_of(before)
            assert not changed, f"rows changed: {sorted(map(repr, changed))}"


def _reader(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)


def check_live_refresh_tokens(database: Path, tokens: Iterable[str]) -> None:
    """O3 for the refresh tokens of one grant: at most two are where the server would find them."""
    with closing(_reader(database)) as connection:
        stored = {cell for row in rows_of(connection) for cell in row if isinstance(cell, bytes)}
    assert len({digest_of("refresh", token) for token in tokens} & stored) <= 2
