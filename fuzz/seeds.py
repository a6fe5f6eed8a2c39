"""What each target begins with, and how its inputs are dressed: the last byte decides whether they are."""

from __future__ import annotations

from tests.properties.seeds import DRESSED, NEARLY, SEEDS

_PLAIN = b"\xff"
_DRESSED = b"\x00"


def seeds(target: str) -> tuple[bytes, ...]:
    """Inputs of a target to begin with."""
    plain = SEEDS[target] + NEARLY.get(target, ())
    if target not in DRESSED:
        return plain
    return (*(seed + _PLAIN for seed in plain), *(seed + _DRESSED for seed in DRESSED[target][1]))


def dressed(target: str, data: bytes) -> bytes:
    """What an input of a target becomes before it is judged."""
    if target not in DRESSED:
        return data
    return DRESSED[target][0](data[:-1]) if data[-1:] < b"\x80" else data[:-1]
