"""The texts that were found, each once, in the order in which they are tried; as many as there is room for."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from ..._protocol.tokens import parse_token
from .spellings import MOST_CHARACTERS, Rank, Text

MOST_COUNTED = 300_000
"""Where the count of different texts ends, so that it does not take more memory than the texts do."""

_MOST_PLACES = 8
_MOST_IDS = 8

_Key = tuple[int, bytes]


@dataclass(slots=True, kw_only=True)
class Stolen:
    """A text to try: where it was found, and the ids that it was found with. `form` is its kind if it is a token."""

    text: str = field(repr=False)
    form: str | None
    rank: Rank
    places: list[str]
    ids: list[str]


class Haul:
    """Holds at most `capacity` texts: the nearest to what was found, and among those of one rank a random choice."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: dict[str, Stolen] = {}
        self._seen: set[bytes] = set()
        self._salt = secrets.token_bytes(16)
        self._last: _Key | None = None

    @property
    def found(self) -> int:
        """How many different texts there were; MOST_COUNTED if there were more."""
        return len(self._seen)

    def add(self, found: Text, ids: Iterable[str] = ()) -> None:
        """Take a text, if it can be tried at all and there is room."""
        if not 0 < len(found.text) <= MOST_CHARACTERS:
            return
        held = self._held.get(found.text)
        if held is None:
            held = self._new(found)
            if held is None:
                return
        held.rank = min(held.rank, found.rank)
        if found.place not in held.places and len(held.places) < _MOST_PLACES:
            held.places.append(found.place)
        for name in ids:
            if name not in held.ids and len(held.ids) < _MOST_IDS:
                held.ids.append(name)

    def texts(self) -> list[Stolen]:
        """What is held, in the order in which it is tried."""
        return sorted(self._held.values(), key=self._key)[: self._capacity]

    def _new(self, found: Text) -> Stolen | None:
        parsed = parse_token(found.text)
        rank = Rank.TOKEN if parsed is not None and found.rank is not Rank.FORGED else found.rank
        stolen = Stolen(text=found.text, form=None if parsed is None else parsed.kind, rank=rank, places=[], ids=[])
        if parsed is not None and parsed.grant_id:
            stolen.ids.append(parsed.grant_id)
        key = self._key(stolen)
        if len(self._seen) < MOST_COUNTED:
            self._seen.add(key[1])
        if self._last is not None and key >= self._last:
            return None
        self._held[found.text] = stolen
        if len(self._held) >= 2 * self._capacity:
            self._shrink()
        return self._held.get(found.text)

    def _shrink(self) -> None:
        kept = self.texts()
        self._held = {stolen.text: stolen for stolen in kept}
        self._last = self._key(kept[-1])

    def _key(self, stolen: Stolen) -> _Key:
        text = stolen.text.encode("utf-8", "surrogatepass")
        return stolen.rank, blake2b(text, digest_size=8, key=self._salt).digest()
