"""`grantwell migrate` and `grantwell purge`: the schema, and the rows that nothing needs any more."""

from __future__ import annotations

import dataclasses

import click

from grantwell_migrations import upgrade
from grantwell_storage import SCHEMA_VERSION

from ..config import DAY
from .deployment import Deployment, helpers_of
from .options import awaited, with_database, with_json
from .output import print_json

_STEP_ROWS = 1000


@click.command()
@with_database
@with_json
def migrate(database_url: str, as_json: bool) -> None:
    """Create the schema, or bring it to this version."""
    upgrade(database_url)
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION})
    else:
        click.echo(f"The schema is at version {SCHEMA_VERSION}.")


@click.command()
@click.option(
    "--unused-client-days",
    type=click.IntRange(min=1, max=36_500),
    default=90,
    show_default=True,
    metavar="N",
    help="Remove clients that no operator added and that were not used for so long.",
)
@click.option("--keep-clients", is_flag=True, help="Remove no clients.")
@with_database
@with_json
@awaited
async def purge(unused_client_days: int, keep_clients: bool, database_url: str, as_json: bool) -> None:
    """Remove what has ended: tokens, grants, sessions, unused clients. In small steps, while servers run."""
    removed: dict[str, int] = {}
    async with Deployment(database_url=database_url).store() as store:
        ttl = None if keep_clients else unused_client_days * DAY
        helpers = helpers_of(store, None, unused_client_ttl=ttl)
        done = False
        while not done:
            step = dataclasses.asdict(await helpers.purge_expired(limit=_STEP_ROWS))
            done = step.pop("done")
            removed = {kind: removed.get(kind, 0) + count for kind, count in step.items()}
            if not done:
                click.echo(f"{sum(removed.values())} rows so far …", err=True)
    if as_json:
        print_json(removed)
    else:
        click.echo(", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in removed.items()) + " removed.")
