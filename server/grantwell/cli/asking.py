"""What a command that revokes or deletes asks before: a look at what it would hit, and a yes."""

from __future__ import annotations

import sys

import click

from .options import F


def with_consent(command: F) -> F:
    """Add `--dry-run` and `--yes`."""
    command = click.option("--yes", is_flag=True, help="Do not ask.")(command)
    return click.option("--dry-run", is_flag=True, help="Show what it would hit, and change nothing.")(command)


def confirm(question: str, *, yes: bool) -> None:
    """Go on if that was said before, or is said now. Raises UsageError where nobody can be asked, and Abort."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            "there is no terminal to ask at: say --yes, or look first at what it would hit with --dry-run."
        )
    click.confirm(question, abort=True, err=True)


def counted(number: int, thing: str) -> str:
    """A number with its noun: 1 grant, 2 grants."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
