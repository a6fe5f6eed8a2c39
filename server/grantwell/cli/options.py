"""The options that commands share, and how a command that awaits is run."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from .completion import Kind, ids
from .deployment import Deployment

if TYPE_CHECKING:
    from .config import Configuration

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_CONFIG = "grantwell.toml"
DEFAULT_DATABASE_URL = "sqlite+aiosqlite:///grantwell.db"

_CONFIG = "grantwell.config_file"
_CONFIGURATION = "grantwell.configuration"


def with_config(command: F) -> F:
    """Add `--config`; `config_file(context)` tells what it names."""
    return click.option(
        "--config",
        "config",
        envvar="GRANTWELL_CONFIG",
        show_envvar=True,
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_remember,
        help=f"The configuration.  [default: {DEFAULT_CONFIG}, if it is there]",
    )(command)


def _remember(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value == "":
        raise click.BadParameter("must not be empty.")
    context.meta[_CONFIG] = value


def config_file(context: click.Context) -> Path | None:
    """The configuration file that a command works with: as named, or the one in this folder."""
    named: str | None = context.meta.get(_CONFIG)
    if named is not None:
        return Path(named)
    return Path(DEFAULT_CONFIG) if os.path.exists(DEFAULT_CONFIG) else None


def is_configured(file: Path | None) -> bool:
    """Whether there is a configuration: in a file, or in the environment alone."""
    return file is not None or any(name.startswith("GRANTWELL_SERVER__") for name in os.environ)


def _configuration(context: click.Context) -> Configuration | None:
    """The configuration, read once a command; None where nothing is configured. Raises Rejected."""
    if _CONFIGURATION not in context.meta:
        file = config_file(context)
        configuration = None
        if is_configured(file):
            # Only where it is needed: it takes longer than most commands.
            from .config import read

            configuration = read(file, os.environ).configuration
        context.meta[_CONFIGURATION] = configuration
    found: Configuration | None = context.meta[_CONFIGURATION]
    return found


def _database_url(context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value is not None:
        return value
    configuration = _configuration(context)
    return DEFAULT_DATABASE_URL if configuration is None else configuration.server.database_url


def with_database(command: F) -> F:
    """Add `--database-url` and `--config`."""
    option = click.option(
        "--database-url",
        envvar="GRANTWELL_DATABASE_URL",
        show_envvar=True,
        metavar="URL",
        callback=_database_url,
        help=f"The database.  [default: the configured one, or {DEFAULT_DATABASE_URL}]",
    )
    return with_config(option(command))


def with_deployment(command: F) -> F:
    """Add `--database-url`, `--secret-key-file` and `--config`; the command gets a `deployment`."""

    @click.option(
        "--secret-key-file",
        envvar="GRANTWELL_SECRET_KEY_FILE",
        show_envvar=True,
        metavar="FILE",
        callback=_not_empty,
        help="The file with the deployment key.  [default: the configured one, or next to the SQLite database, "
        "ending in .key]",
    )
    @functools.wraps(command)
    def with_it(*args: Any, database_url: str, secret_key_file: str | None, **kwargs: Any) -> Any:
        return command(*args, deployment=_deployment(database_url, secret_key_file), **kwargs)

    wrapped: Any = with_database(with_it)
    return cast("F", wrapped)


def configuration_of(database_url: str) -> Configuration | None:
    """The configuration of the servers on this database, for the command that is run; None where there is none.

    A database that is named by hand has none, unless it is the configured one. Raises Rejected.
    """
    configuration = _configuration(click.get_current_context())
    if configuration is None or database_url != configuration.server.database_url:
        return None
    return configuration


def _deployment(database_url: str, secret_key_file: str | None) -> Deployment:
    configuration = None if secret_key_file is not None else configuration_of(database_url)
    if configuration is None:
        return Deployment(database_url=database_url, secret_key_file=secret_key_file)
    return Deployment.of(configuration.server)


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
    if value is not None and not value.isprintable():
        raise click.BadParameter("has characters that cannot be in it.")
    return value


_KINDS: dict[str, Kind] = {"client_id": "client", "grant_id": "grant", "user_id": "user"}
_KINDS |= {"--client": "client", "--grant": "grant", "--user": "user"}


def _completed(kind: Kind | None) -> Callable[..., list[CompletionItem]]:
    """What completes an id of this kind."""

    def complete(context: click.Context, parameter: click.Parameter, beginning: str) -> list[CompletionItem]:
        if kind is None:
            return []
        try:
            named = context.params.get("database_url") or os.environ.get("GRANTWELL_DATABASE_URL")
            return ids(kind, _database_url(context, parameter, named), beginning)
        except click.ClickException:
            # Whoever presses Tab has not asked for what is wrong with the configuration.
            return []

    return complete


def id_argument(name: str, *, required: bool = True) -> Callable[[F], F]:
    """Add an argument that is exactly one id; an empty one is wrong usage."""
    return click.argument(name, required=required, callback=_not_empty, shell_complete=_completed(_KINDS.get(name)))


def id_option(flag: str, help_text: str) -> Callable[[F], F]:
    """Add an option that is exactly one id; an empty one is wrong usage."""
    return click.option(
        flag, metavar="ID", callback=_not_empty, shell_complete=_completed(_KINDS.get(flag)), help=help_text
    )


def awaited(command: Callable[P, Awaitable[R]]) -> Callable[P, R]:
    """A command that is an async function, as the plain one that Click calls."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        async def main() -> R:
            return await command(*args, **kwargs)

        return asyncio.run(main())

    return run
