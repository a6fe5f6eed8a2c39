"""`grantwell backup` and `grantwell restore`: a copy of the database, and the way back."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import click

from grantwell_migrations import upgrade
from grantwell_storage.backups import back_up, end_what_was_issued, put_in_place, scratch_copy

from .asking import confirm, with_consent
from .options import with_database, with_json
from .output import print_json

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@with_database
@with_json
def backup(file: Path, database_url: str, as_json: bool) -> None:
    """Copy the database into a new FILE, as it is at one moment.

    Servers go on meanwhile. The copy holds hashes and ciphertext, as the database does; the deployment key is not in
    it, and without the key it is worth nothing to anybody: keep the two apart.
    """
    back_up(database_url, file)
    size = file.stat().st_size
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        click.echo(f"{file}: {size:,} bytes.")


@click.command()
@click.argument("file", type=_FILE)
@click.option(
    "--keep-grants",
    is_flag=True,
    help="Keep what clients were allowed, those included that were revoked since the backup.",
)
@with_consent
@with_database
@with_json
def restore(file: Path, keep_grants: bool, dry_run: bool, yes: bool, database_url: str, as_json: bool) -> None:
    """Make the database what it was when `grantwell backup` wrote FILE.

    What was revoked or changed since must not come back to life. So every session, code, access token and initial
    access token ends, and, without --keep-grants, every grant too: people sign in, and clients ask them, once more.
    Users, their passwords and clients are those of the backup; one that was disabled or changed since has to be so
    again.

    A backup of an older version is brought to this one on the way. It happens in one step: servers may run, and see
    the one database or the other.
    """
    with scratch_copy(file, database_url) as copy:
        upgrade(copy)
        ended = end_what_was_issued(copy, now=int(time.time()), keep_grants=keep_grants)
        if not dry_run:
            confirm(f"Replace the database at {database_url} by {file}?", yes=yes)
            put_in_place(copy, database_url)
    numbers = asdict(ended)
    if as_json:
        print_json({"restored": not dry_run, "ended": numbers})
        return
    counts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in numbers.items())
    click.echo(f"Would restore {file} and end {counts}." if dry_run else f"{file} is restored; {counts} ended.")
