"""Slowing down whoever guesses, without locking out the owner of what is guessed at."""

from __future__ import annotations

from dataclasses import dataclass

from ._urls import network_of
from .crypto import Keyring
from .records import Digest
from .store import Attempt, ThrottleStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many failures of one `purpose` a window of so many seconds may have."""

    purpose: str
    window: int
    of_name: int
    of_address: int


class Throttle:
    """Failures, counted by name and address together and by address alone.

    No count is of the name alone: then anybody could keep its owner out from anywhere.
    """

    def __init__(self, store: ThrottleStore, keyring: Keyring, limits: Limits) -> None:
        self._store = store
        self._keyring = keyring
        self._limits = limits

    async def allows(self, name: str, address: str | None, now: int) -> bool:
        """Whether one more try may be made."""
        return all([await self._store.count_attempts(key, now) < most for key, most in self._counted(name, address)])

    async def count(self, name: str, address: str | None, now: int) -> None:
        """Count a failure."""
        for key, _ in self._counted(name, address):
            await self._store.count_attempt(Attempt(key=key, window=self._limits.window, now=now))

    async def clear(self, name: str, address: str | None) -> None:
        """Forget the failures of a name from an address, once its owner got in there.

        Those of the address stay: its user may be a guesser with one account of his own.
        """
        key, _ = self._counted(name, address)[0]
        await self._store.clear_attempts(key)

    def _counted(self, name: str, address: str | None) -> list[tuple[Digest, int]]:
        network = None if address is None else network_of(address) or address
        purpose = self._limits.purpose
        counted = [(self._keyring.throttle_key(purpose, name, network), self._limits.of_name)]
        # Where the server does not tell addresses, one count for all of them would let anybody lock out everybody.
        if network is not None:
            counted.append((self._keyring.throttle_key(purpose, network), self._limits.of_address))
        return counted
