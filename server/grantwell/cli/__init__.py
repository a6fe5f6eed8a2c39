"""The `grantwell` command: the one place that puts server, storage and migrations together."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from ..errors import GrantwellError
from .backups import backup, restore
from .clients import clients
from .completion import completion
from .configuring import config_group, init
from .doctor import doctor
from .grants import grants
from .housekeeping import migrate, purge
from .leak_drill import leak_drill
from .output import plain
from .serve import serve
from .users import users

__all__ = ["main"]


class _Commands(click.Group):
    """Commands whose expected troubles are one sentence and exit code 1."""

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


_COMMANDS: tuple[click.Command, ...] = (
    *(init, serve, config_group),
    *(clients, grants, users),
    *(migrate, purge, backup, restore),
    *(doctor, leak_drill, completion),
)

for _command in _COMMANDS:
    main.add_command(_command)
