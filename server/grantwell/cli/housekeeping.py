"""`grantwell migrate` and `grantwell purge`: the schema, and the rows that nothing needs any more."""

from __future__ import annotations

import asyncio
import dataclasses

import click

from grantwell_migrations import pending, upgrade
from grantwell_storage import SCHEMA_VERSION
from grantwell_storage.backups import scratch_copy

from ..config import DAY
from .asking import counted
from .deployment import Deployment, helpers_of
from .options import configuration_of, with_database, with_json
from .output import plain, print_json
from .progress import progress

_STEP_ROWS = 1000
_TTL: int | None = 90 * DAY


@click.command()
@click.option("--dry-run", is_flag=True, help="Show the steps that are missing, and change nothing.")
@with_database
@with_json
def migrate(dry_run: bool, database_url: str, as_json: bool) -> None:
    """Create the schema, or bring it to this version. Nothing is lost; take a backup first all the same."""
    steps = pending(database_url)
    if not dry_run:
        upgrade(database_url)
    if as_json:
        names = [version for version, _ in steps]
        print_json({"schema_version": SCHEMA_VERSION, ("would_apply" if dry_run else "applied"): names})
        return
    for version, text in steps:
        click.echo(f"{version}  {plain(text)}")
    if not dry_run:
        click.echo(f"The schema is at version {SCHEMA_VERSION}.")
    elif steps:
        click.echo(f"{counted(len(steps), 'step')} would be taken; nothing was changed.", err=True)
    else:
        click.echo(f"The schema is at version {SCHEMA_VERSION}; nothing is to be done.")


@click.command()
@click.option(
    "--unused-client-days",
    type=click.IntRange(min=1, max=36_500),
    metavar="N",
    help="Remove clients that no operator added and that were not used for so long.  [default: as configured, or 90]",
)
@click.option("--keep-clients", is_flag=True, help="Remove no clients.")
@click.option(
    "--event-days",
    type=click.IntRange(min=1, max=36_500),
    metavar="N",
    help="Remove what is kept of things that happened so long ago.  [default: as configured, or 90]",
)
@click.option("--keep-events", is_flag=True, help="Remove no events.")
@click.option("--dry-run", is_flag=True, help="Count what it would remove, on a copy, and change nothing.")
@with_database
@with_json
def purge(
    unused_client_days: int | None,
    keep_clients: bool,
    event_days: int | None,
    keep_events: bool,
    dry_run: bool,
    database_url: str,
    as_json: bool,
) -> None:
    """Remove what has ended: tokens, grants, sessions, unused clients, old events. In small steps, while servers run.

    It does not ask, because nothing that works is removed: let a timer run it.
    """
    configuration = configuration_of(database_url)
    client_ttl, event_ttl = _TTL, _TTL
    if configuration is not None:
        client_ttl, event_ttl = configuration.oauth.unused_client_ttl, configuration.oauth.event_ttl
    client_ttl = None if keep_clients else client_ttl if unused_client_days is None else unused_client_days * DAY
    event_ttl = None if keep_events else event_ttl if event_days is None else event_days * DAY
    if dry_run:
        deployment = Deployment(database_url=database_url)
        # Who is told of a missing schema is told of this database, not of its copy.
        pending(database_url)
        with scratch_copy(deployment.database_file, database_url) as copy:
            removed = asyncio.run(_purged(copy, client_ttl, event_ttl))
    else:
        removed = asyncio.run(_purged(database_url, client_ttl, event_ttl))
    if as_json:
        print_json(({"dry_run": True} if dry_run else {}) | removed)
        return
    counts = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in removed.items())
    click.echo(f"{counts} would be removed; nothing was changed." if dry_run else f"{counts} removed.")


async def _purged(database_url: str, unused_client_ttl: int | None, event_ttl: int | None) -> dict[str, int]:
    """Purge until nothing is left; how many rows of each kind there were."""
    removed: dict[str, int] = {}
    async with Deployment(database_url=database_url).store() as store:
        helpers = helpers_of(store, None, unused_client_ttl=unused_client_ttl, event_ttl=event_ttl)
        with progress("Purging", None) as advance:
            done = False
            while not done:
                result = await helpers.purge_expired(limit=_STEP_ROWS)
                step = dataclasses.asdict(result)
                done = step.pop("done")
                removed = {kind: removed.get(kind, 0) + count for kind, count in step.items()}
                advance(result.removed)
    return removed
