"""Slowing down whoever guesses passwords, without locking out the owner of the account."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from ..crypto import Keyring
from ..records import Digest
from ..store import AccountStore, Attempt

WINDOW_SECONDS = 600
MAX_FAILURES_OF_NAME = 10
MAX_FAILURES_OF_ADDRESS = 100


class Throttle:
    """Failed sign-ins, counted by name and address together and by address alone, in windows of ten minutes.

    No count is of the name alone: then anybody could keep its owner out from anywhere.
    """

    def __init__(self, store: AccountStore, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    async def allows(self, name: str, address: str | None, now: int) -> bool:
        """Whether one more try may be made."""
        return all([await self._store.count_attempts(key, now) < most for key, most in self._limits(name, address)])

    async def count(self, name: str, address: str | None, now: int) -> None:
        """Count a failure."""
        for key, _ in self._limits(name, address):
            await self._store.count_attempt(Attempt(key=key, window=WINDOW_SECONDS, now=now))

    async def clear(self, name: str, address: str | None) -> None:
        """Forget the failures of a name from an address, once its owner signed in there.

        Those of the address stay: its user may be a guesser with one account of his own.
        """
        key, _ = self._limits(name, address)[0]
        await self._store.clear_attempts(key)

    def _limits(self, name: str, address: str | None) -> list[tuple[Digest, int]]:
        network = None if address is None else _network(address)
        limits = [(self._keyring.throttle_key("signin", name.lower(), network), MAX_FAILURES_OF_NAME)]
        # Where the server does not tell addresses, one count for all of them would let anybody lock out everybody.
        if network is not None:
            limits.append((self._keyring.throttle_key("signin", network), MAX_FAILURES_OF_ADDRESS))
        return limits


def _network(address: str) -> str:
    """What one sender has for himself: an IPv4 address, or the 64 bits that every IPv6 customer is given."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(IPv6Network((int(parsed), 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)
