"""Collects what a thief of the database, of its files and of the logs would have."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .haul import Haul, Stolen
from .sources import DatabaseCopy, client_of, copied, files_beside, lines_of_log, texts_of_file
from .spellings import Rank, Text, grant_ids_in, texts_of_row

_MOST_CLIENTS_SAMPLED = 200
_MOST_CLIENTS = 300
_MOST_CLIENTS_OF_ID = 8
_MOST_VERIFIERS = 4
_MOST_GRANT_IDS = 2
_STEP_ROWS = 500
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loot:
    """What was collected. `found` counts the different texts there were, up to MOST_COUNTED; `texts` are those held.

    `client_ids` are those of the database, some of them if there are very many; `related` maps an id of a row to the
    clients it was found with.
    """

    tables: int
    rows: int
    values: int
    files: tuple[str, ...]
    texts: tuple[Stolen, ...]
    found: int
    client_ids: tuple[str, ...]
    related: Mapping[str, tuple[str, ...]]

    @property
    def verifiers(self) -> tuple[str, ...]:
        """The texts whose S256 challenge (RFC 7636 section 4.2) was found too: they open the code of that challenge."""
        known = {stolen.text for stolen in self.texts}
        found = (text for text in known if _VERIFIER.fullmatch(text) and _challenge(text) in known)
        return tuple(sorted(found)[:_MOST_VERIFIERS])

    @property
    def tokens(self) -> Mapping[str, int]:
        """How many texts in the form of a token were at each place, the forged ones apart."""
        return Counter(place for stolen in self.texts if stolen.rank is Rank.TOKEN for place in stolen.places)


def collect(database: Path, logs: Sequence[Path], *, capacity: int, progress: Callable[[int], None]) -> Loot:
    """Read everything, and hold `capacity` texts; `progress` is told how many different ones there are so far.

    Raises SourceUnreadable.
    """
    haul = Haul(capacity)
    clients = Haul(_MOST_CLIENTS_SAMPLED)
    rows = values = 0
    grant_ids: list[str] = []
    with copied(database) as copy:
        for row in copy.rows():
            rows += 1
            values += sum(value is not None for _, value in row.cells)
            for text in texts_of_row(row, grant_ids=grant_ids):
                haul.add(text, row.ids)
            grant_ids = grant_ids_in(row)[:_MOST_GRANT_IDS] or grant_ids
            if client := client_of(row):
                clients.add(Text(Rank.VALUE, client, ""))
            if rows % _STEP_ROWS == 0:
                progress(haul.found)
        files = files_beside(database)
        for file in files:
            for text in texts_of_file(file):
                haul.add(text)
        for log in logs:
            for line in lines_of_log(log):
                for text in texts_of_row(line, rank=Rank.PIECE):
                    haul.add(text)
            progress(haul.found)
        texts = haul.texts()
        named = dict.fromkeys(name for stolen in texts for name in stolen.ids)
        related = _related(copy, named.keys())
        # In the order of the texts, so that the clients of whole tokens come first.
        client_ids = [client for name in named for client in related.get(name, ())]
        client_ids += [stolen.text for stolen in clients.texts()]
        return Loot(
            tables=len(copy.tables),
            rows=rows,
            values=values,
            files=tuple(file.name for file in files) + tuple(str(log) for log in logs),
            texts=tuple(texts),
            found=haul.found,
            client_ids=tuple(dict.fromkeys(client_ids))[:_MOST_CLIENTS],
            related=related,
        )


def _related(copy: DatabaseCopy, wanted: Set[str]) -> dict[str, tuple[str, ...]]:
    """The clients that each of these ids shares a row with."""
    related: dict[str, tuple[str, ...]] = {}
    for row in copy.rows():
        client = client_of(row)
        for name in wanted & set(row.ids) if client else ():
            clients = related.get(name, ())
            if client and client not in clients and len(clients) < _MOST_CLIENTS_OF_ID:
                related[name] = (*clients, client)
    return related


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
