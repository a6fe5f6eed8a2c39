"""The drill: what was stolen is tried as every kind of credential, and whatever is accepted is a finding."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass

from .collecting import Loot
from .controls import Judged, KnownClients, judged_kinds, known_clients
from .exchange import WORKERS, Exchange, Unanswered
from .haul import Stolen
from .kinds import Kind, Verdict
from .server import discover
from .spellings import Rank

_MOST_OWN_CLIENTS = 4
_MOST_UNANSWERED = 40
_PROGRESS_SECONDS = 0.25

Progress = Callable[[int, int], None]
"""Told how many attempts of how many are done."""


@dataclass(slots=True)
class Tally:
    """How often one kind was tried, of how many times it could be, and what became of it."""

    possible: int = 0
    tried: int = 0
    throttled: int = 0
    unanswered: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """A text that was accepted: as what, and where it was found; never the text itself."""

    kind: str
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a drill came to. `not_tried` are sentences on what this server gives no way to try."""

    tallies: dict[str, Tally]
    findings: list[Finding]
    not_tried: tuple[str, ...]
    clients: KnownClients
    texts_tried: int

    @property
    def tried(self) -> int:
        """How many attempts were made."""
        return sum(tally.tried for tally in self.tallies.values())

    @property
    def possible(self) -> int:
        """How many there could have been, with the texts that are held."""
        return sum(tally.possible for tally in self.tallies.values())

    @property
    def throttled(self) -> int:
        """How many were refused by a throttle against guessing (429)."""
        return sum(tally.throttled for tally in self.tallies.values())

    @property
    def accepted(self) -> int:
        """How many attempts were accepted."""
        return sum(tally.accepted for tally in self.tallies.values())

    @property
    def unanswered(self) -> int:
        """How many attempts had no answer that tells anything."""
        return sum(tally.unanswered for tally in self.tallies.values())


@dataclass(frozen=True, slots=True)
class _Attempt:
    turn: int
    kind: Kind
    stolen: Stolen
    client: str


def drill(url: str, loot: Loot, *, limit: int, progress: Progress = lambda done, total: None) -> Outcome:
    """Try what was collected against the server whose issuer is at `url`, in `limit` attempts at most.

    Nothing is revoked, and nothing is spent unless it is accepted. Raises NoServer, Unanswered.
    """
    with closing(Exchange(url)) as exchange:
        server = discover(exchange, url)
        clients = known_clients(server, loot.client_ids)
        judged = judged_kinds(exchange, server, clients, loot.verifiers)
    run = _Run(url, loot, clients, judged, limit)
    run.go(progress)
    return Outcome(
        tallies=run.tallies,
        findings=run.findings,
        not_tried=judged.not_tried,
        clients=clients,
        texts_tried=run.texts_tried,
    )


class _Run:
    """The attempts of one drill, shared out among threads with a connection each."""

    def __init__(self, url: str, loot: Loot, clients: KnownClients, judged: Judged, limit: int) -> None:
        self._url = url
        self._loot = loot
        self._clients = {kind.clients: clients.of(kind) for kind in judged.kinds}
        self._known = {wanted: frozenset(known) for wanted, known in self._clients.items()}
        self._kinds = judged.kinds
        self.tallies = {kind.name: Tally() for kind in judged.kinds}
        self.findings: list[Finding] = []
        self.texts_tried = 0
        for turn, stolen in enumerate(loot.texts):
            for kind in self._kinds_for(stolen):
                self.tallies[kind.name].possible += len(self._clients_for(kind, stolen, turn))
        self._total = min(limit, sum(tally.possible for tally in self.tallies.values()))
        self._waiting = self._attempts()
        self._lock = threading.Lock()
        self._begun = 0
        self._in_silence = 0
        self._is_over = False

    def go(self, progress: Progress) -> None:
        """Make the attempts. Raises Unanswered once the server answers nothing any more."""
        with ThreadPoolExecutor(WORKERS) as pool:
            working = {pool.submit(self._work) for _ in range(WORKERS)}
            try:
                while working:
                    done, working = wait(working, timeout=_PROGRESS_SECONDS, return_when=FIRST_EXCEPTION)
                    progress(self._begun, self._total)
                    for future in done:
                        future.result()
            finally:
                self._is_over = True

    def _attempts(self) -> Iterator[_Attempt]:
        for turn, stolen in enumerate(self._loot.texts):
            for kind in self._kinds_for(stolen):
                yield from (_Attempt(turn, kind, stolen, client) for client in self._clients_for(kind, stolen, turn))

    def _kinds_for(self, stolen: Stolen) -> list[Kind]:
        return [kind for kind in self._kinds if _belongs(kind, stolen) and kind.can_carry(stolen.text)]

    def _clients_for(self, kind: Kind, stolen: Stolen, turn: int) -> Sequence[str]:
        """All, for a whole token that belongs there; else those that the text was found with, or any one."""
        all_of_them = self._clients[kind.clients]
        if kind.clients == "none" or (stolen.rank is Rank.TOKEN and stolen.form == kind.form):
            return all_of_them
        related = dict.fromkeys(client for name in stolen.ids for client in self._loot.related.get(name, ()))
        own = [client for client in related if client in self._known[kind.clients]]
        return own[:_MOST_OWN_CLIENTS] or all_of_them[turn % len(all_of_them) :][:1]

    def _work(self) -> None:
        exchange = Exchange(self._url)
        try:
            while (attempt := self._next()) is not None:
                self._note(attempt, *_verdict(exchange, attempt))
        except Exception:
            self._is_over = True
            raise
        finally:
            exchange.close()

    def _next(self) -> _Attempt | None:
        with self._lock:
            if self._is_over or self._begun >= self._total:
                return None
            self._begun += 1
            attempt = next(self._waiting)
            self.texts_tried = attempt.turn + 1
            return attempt

    def _note(self, attempt: _Attempt, verdict: Verdict, error: Unanswered | None) -> None:
        with self._lock:
            tally = self.tallies[attempt.kind.name]
            tally.tried += 1
            self._in_silence = self._in_silence + 1 if verdict == "unanswered" else 0
            match verdict:
                case "accepted":
                    tally.accepted += 1
                    finding = Finding(attempt.kind.name, tuple(attempt.stolen.places))
                    if finding not in self.findings:
                        self.findings.append(finding)
                case "throttled":
                    tally.throttled += 1
                case "unanswered":
                    tally.unanswered += 1
        if self._in_silence >= _MOST_UNANSWERED and error is not None:
            raise error


def _belongs(kind: Kind, stolen: Stolen) -> bool:
    """Whether a text is tried as this kind: all are as all, but what is forged for one purpose as that alone."""
    return not (kind.form_only or stolen.rank is Rank.FORGED) or stolen.form == kind.form


def _verdict(exchange: Exchange, attempt: _Attempt) -> tuple[Verdict, Unanswered | None]:
    try:
        answer = exchange.send(attempt.kind.make(attempt.stolen.text, attempt.client))
    except Unanswered as error:
        return "unanswered", error
    return attempt.kind.verdict(answer), None
