"""For properties about any input: what a reader answered, or the one kind of error it may raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")
E = TypeVar("E", bound=Exception)


def attempt(error: type[E], read: Callable[[], R]) -> tuple[R | None, E | None]:
    """The answer and None, or None and the error; any other error is the test's."""
    try:
        return read(), None
    except error as caught:
        return None, caught
