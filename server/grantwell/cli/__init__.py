"""The `grantwell` command: the one place that puts server, storage and migrations together."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from ..errors import GrantwellError
from .output import plain

__all__ = ["main"]

# In the order of the help. Each is imported when it is asked for: together they take longer than most of them work.
_PLACES: Mapping[str, str] = {
    "init": "configuring:init",
    "serve": "serve:serve",
    "config": "configuring:config_group",
    "clients": "clients:clients",
    "grants": "grants:grants",
    "users": "users:users",
    "events": "events:events",
    "explain": "explain:explain",
    "migrate": "housekeeping:migrate",
    "purge": "housekeeping:purge",
    "backup": "backups:backup",
    "restore": "backups:restore",
    "doctor": "doctor:doctor",
    "leak-drill": "leak_drill:leak_drill",
    "completion": "completion:completion",
}


class _Commands(click.Group):
    """Commands whose expected troubles are one sentence and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all."""
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in _PLACES:
            return None
        module, _, attribute = _PLACES[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f".{module}", __name__), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except GrantwellError as error:
            raise click.ClickException(plain(error)) from error


def _version() -> str:
    try:
        return version("grantwell")
    except PackageNotFoundError:
        return "of a folder that is not installed"


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(_version(), message="grantwell %(version)s")
def main() -> None:
    """Grantwell: OAuth 2.1 in front of your API."""
