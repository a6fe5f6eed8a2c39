"""Lengths of time as people write them on a command line."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from ..config import DAY, MAX_TTL
from .options import F

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": DAY}
_DURATION = re.compile(r"([0-9]{1,10})([smhd]?)")


def with_duration(flag: str, *, default: str, least: int, help_text: str) -> Callable[[F], F]:
    """Add an option whose value is seconds, or a number with the unit s, m, h or d; the command gets the seconds.

    Fewer than `least` seconds is wrong usage, and so is more than a hundred years.
    """

    def seconds(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
        written = _DURATION.fullmatch(value)
        if written is None:
            raise click.BadParameter(f"{value!r} is not a duration.")
        count = int(written[1]) * _UNITS[written[2]]
        if not least <= count <= MAX_TTL:
            raise click.BadParameter(f"{value!r} is not from {least} to {MAX_TTL} seconds.")
        return count

    return click.option(
        flag,
        default=default,
        show_default=True,
        metavar="DURATION",
        callback=seconds,
        help=f"{help_text}: seconds, or 90s, 15m, 24h, 7d.",
    )
