"""The options that commands share, and how a command that awaits is run."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_DATABASE_URL = "sqlite+aiosqlite:///grantwell.db"


def with_database(command: F) -> F:
    """Add `--database-url`."""
    return click.option(
        "--database-url",
        envvar="GRANTWELL_DATABASE_URL",
        default=DEFAULT_DATABASE_URL,
        show_default=True,
        show_envvar=True,
        metavar="URL",
        help="The database.",
    )(command)


def with_key(command: F) -> F:
    """Add `--secret-key-file`."""
    return click.option(
        "--secret-key-file",
        envvar="GRANTWELL_SECRET_KEY_FILE",
        show_envvar=True,
        metavar="FILE",
        callback=_not_empty,
        help="The file with the deployment key.  [default: next to the SQLite database, ending in .key]",
    )(command)


def with_json(command: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def with_limit(command: F) -> F:
    """Add `--limit`."""
    return click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after so many.  [default: all]")(
        command
    )


def _not_empty(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    # An empty id would match nothing, or, where a filter is meant, everything.
    if value == "":
        raise click.BadParameter("must not be empty.")
    return value


def id_argument(name: str, *, required: bool = True) -> Callable[[F], F]:
    """Add an argument that is exactly one id; an empty one is wrong usage."""
    return click.argument(name, required=required, callback=_not_empty)


def id_option(flag: str, help_text: str) -> Callable[[F], F]:
    """Add an option that is exactly one id; an empty one is wrong usage."""
    return click.option(flag, metavar="ID", callback=_not_empty, help=help_text)


def awaited(command: Callable[P, Awaitable[R]]) -> Callable[P, R]:
    """A command that is an async function, as the plain one that Click calls."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        async def main() -> R:
            return await command(*args, **kwargs)

        return asyncio.run(main())

    return run
