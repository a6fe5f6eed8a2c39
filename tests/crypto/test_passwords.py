"""Passwords (argon2id): what they cost, how many at once, and that nobody learns who exists."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from argon2 import PasswordHasher as Argon2Hasher

from grantwell import StoreUnavailable
from grantwell.crypto import MAX_PASSWORD_BYTES, PasswordHasher

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


def cheap() -> PasswordHasher:
    return PasswordHasher(memory_kib=64, passes=1)


class Watched(Argon2Hasher):
    """The real thing, which counts how often it ran and how often at once."""

    def __init__(self, **costs: Any) -> None:
        super().__init__(**costs)
        self.lock = threading.Lock()
        self.running = self.most = self.verified = 0

    def hash(self, *arguments: Any, **named: Any) -> str:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.002)
        try:
            return super().hash(*arguments, **named)
        finally:
            with self.lock:
                self.running -= 1

    def verify(self, hash: Any, password: Any) -> Any:
        self.verified += str(hash).startswith("$argon2id$")  # a text that is no hash would cost nothing
        return super().verify(hash, password)


@requirement("S-168", "S-465")
async def test_a_password_is_kept_as_argon2id_with_the_costs_of_the_design() -> None:
    stored = await PasswordHasher().hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert "horse" not in stored
    assert not PasswordHasher().is_outdated(stored)
    assert PasswordHasher(passes=3).is_outdated(stored)


@requirement("S-168", "S-465", "A-164")
async def test_only_the_same_password_fits() -> None:
    hasher = cheap()
    for password in ("correct horse", " ", "pässwörd", "🦊", "a\x00b", "\ud800", "x" * MAX_PASSWORD_BYTES):
        stored = await hasher.hash(password)
        assert stored != await hasher.hash(password), "salted"
        assert await hasher.fits(password, stored)
        for other in (password + " ", password + "\x00", password[:-1], password.upper() + "x", ""):
            assert not await hasher.fits(other, stored)


@requirement("S-168", "S-023")
async def test_a_password_has_1_to_1024_bytes() -> None:
    hasher = cheap()
    for password in ("", "x" * 1025, "é" * 513, "x" * 10_000_000):
        with pytest.raises(ValueError, match="1024 bytes"):
            await hasher.hash(password)
    stored = await hasher.hash("x" * 1024)
    assert not await hasher.fits("x" * 1025, stored)
    assert not await hasher.fits("x" * 10_000_000, stored)


@requirement("S-168")
async def test_a_user_who_does_not_exist_costs_what_a_real_one_does() -> None:
    hasher = cheap()
    stored = await hasher.hash("right")
    hasher._argon2 = watched = Watched(time_cost=1, memory_cost=64, parallelism=1)
    for password, known in [("right", stored), ("wrong", stored), ("right", None), ("", None), ("x" * 2000, None)]:
        before = watched.verified
        assert await hasher.fits(password, known) == (password == "right" and known is not None)
        assert watched.verified == before + 1
    assert not await hasher.fits(hasher._nobody, None)


@requirement("S-168", "A-326")
async def test_a_damaged_hash_fits_nothing() -> None:
    hasher = cheap()
    stored = await hasher.hash("right")
    for damaged in ("", "x", "$argon2id$", stored[:-4], stored.replace("argon2id", "argon2d"), "right", "\ud800"):
        assert not await hasher.fits("right", damaged)


@requirement("S-168", "S-023", "S-246", "D-29")
async def test_two_at_a_time_32_wait_and_the_next_is_told_to_come_back() -> None:
    hasher = cheap()
    hasher._argon2 = watched = Watched(time_cost=1, memory_cost=64, parallelism=1)
    outcomes = await asyncio.gather(*(hasher.hash("x") for _ in range(40)), return_exceptions=True)
    assert [isinstance(outcome, str) for outcome in outcomes] == [True] * 34 + [False] * 6
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes[34:])
    assert watched.most == 2
    assert await hasher.hash("x")


@requirement("S-168", "F-081")
async def test_one_who_leaves_gives_the_place_in_the_queue_back() -> None:
    hasher = cheap()
    waiting = [asyncio.ensure_future(hasher.hash("x")) for _ in range(34)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await hasher.hash("x")
