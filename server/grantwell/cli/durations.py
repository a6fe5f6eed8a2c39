"""Lengths of time as people write them, on a command line and in a configuration file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from ..config import DAY, MAX_TTL
from .options import F

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": DAY}
_DURATION = re.compile(r"([0-9]{1,10})([smhd]?)")


def seconds_of(text: str) -> int | None:
    """The seconds of a length of time, 90, 90s, 15m, 24h or 7d; None if the text is not one."""
    written = _DURATION.fullmatch(text)
    return None if written is None else int(written[1]) * _UNITS[written[2]]


def with_duration(flag: str, *, least: int, help_text: str, default: str | None = None) -> Callable[[F], F]:
    """Add an option whose value is seconds, or a number with the unit s, m, h or d; the command gets the seconds.

    Fewer than `least` seconds is wrong usage, and so is more than a hundred years. Without a `default` the command
    gets None where the option is not given.
    """

    def seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
        if value is None:
            return None
        count = seconds_of(value)
        if count is None:
            raise click.BadParameter(f"{value!r} is not a duration.")
        if not least <= count <= MAX_TTL:
            raise click.BadParameter(f"{value!r} is not from {least} to {MAX_TTL} seconds.")
        return count

    settings: dict[str, Any] = {} if default is None else {"default": default, "show_default": True}
    return click.option(
        flag, metavar="DURATION", callback=seconds, help=f"{help_text}: seconds, or 90s, 15m, 24h, 7d.", **settings
    )
