"""Passwords, and nothing but passwords, through argon2id."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher as Argon2Hasher
from argon2.exceptions import InvalidHashError, VerificationError

from ..errors import StoreUnavailable

P = ParamSpec("P")
R = TypeVar("R")

MAX_PASSWORD_BYTES = 1024

_MOST_HASHING = 2
_MOST_WAITING = 32


class PasswordHasher:
    """argon2id (19 MiB, two passes, one lane) for passwords alone: at most two at a time, in threads, 32 waiting."""

    def __init__(self, *, memory_kib: int = 19 * 1024, passes: int = 2, lanes: int = 1) -> None:
        self._argon2 = Argon2Hasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
        self._places = BoundedSemaphore(_MOST_HASHING + _MOST_WAITING)
        # Verifying against it costs what a real user costs, so that the time does not tell who exists.
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """The hash to store. Raises ValueError for a password of no or over 1,024 bytes, StoreUnavailable when busy."""
        encoded = password.encode("utf-8", "surrogatepass")
        if not 0 < len(encoded) <= MAX_PASSWORD_BYTES:
            raise ValueError(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes")
        return await self._run(self._argon2.hash, encoded)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether the password is the stored one; as slow for a user who does not exist (`stored` is None)."""
        encoded = password.encode("utf-8", "surrogatepass")[: MAX_PASSWORD_BYTES + 1]
        if not self._nobody:
            self._nobody = await self._run(self._argon2.hash, secrets.token_bytes(16))
        matched = await self._run(self._verify, stored or self._nobody, encoded)
        return matched and stored is not None and 0 < len(encoded) <= MAX_PASSWORD_BYTES

    def is_outdated(self, stored: str) -> bool:
        """Whether the stored hash was made with other costs than today's."""
        return self._argon2.check_needs_rehash(stored)

    def _verify(self, stored: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(stored, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False

    async def _run(self, function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        if not self._places.acquire(blocking=False):
            raise StoreUnavailable("too many passwords are being checked")
        job = _hashing_threads(os.getpid()).submit(function, *arguments, **named)
        # When the work is over, not when the caller leaves.
        job.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(job)


@lru_cache(maxsize=1)
def _hashing_threads(process: int) -> ThreadPoolExecutor:
    """The threads that hash in this process, whoever asks; a forked one has none of its parent's."""
    return ThreadPoolExecutor(_MOST_HASHING, thread_name_prefix=f"grantwell-argon2-{process}")
