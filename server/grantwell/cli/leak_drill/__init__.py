"""`grantwell leak-drill`: proof that a stolen database and stolen logs open nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from ..options import with_database, with_json
from .collecting import Loot, collect
from .drill import Outcome, drill
from .exchange import is_loopback
from .report import print_document, print_report
from .sources import database_file

__all__ = ["leak_drill"]

_MOST_ATTEMPTS = 100_000


def _issuer(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or parts.username or not value.isascii() or not value.isprintable():
        raise click.BadParameter("is the issuer's URL, as in https://api.example.com.")
    if parts.scheme == "http" and not is_loopback(value):
        raise click.BadParameter("must be https, unless the server is on this machine: what is tried is secret.")
    return value.rstrip("/")


@click.command("leak-drill")
@click.argument("url", callback=_issuer)
@click.option(
    "--logs",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A log, or any other file that could be stolen; may be repeated.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_MOST_ATTEMPTS,
    show_default=True,
    metavar="N",
    help="Make no more attempts than this.",
)
@click.option("--yes", is_flag=True, help="Do not ask, where the server is on another machine.")
@with_database
@with_json
def leak_drill(url: str, logs: tuple[Path, ...], limit: int, yes: bool, database_url: str, as_json: bool) -> None:
    """Prove that nothing that is stored is a credential.

    Every value of the database, of its files and of the logs is tried as every kind of credential at the running server
    whose issuer is URL. Nothing may be accepted; what is, is named by its column or file, never shown, and the exit
    code is 1. The database is only read, and nothing is revoked. Each attempt leaves a line in the server's log, and
    wrong client secrets count for its throttle against guessing. Certificates are verified, with $SSL_CERT_FILE if set.
    """
    path = database_file(database_url)
    if not yes and not is_loopback(url):
        _confirm(f"Everything in {path} is sent to {url}, which is another machine. Go on?")
    try:
        loot = collect(path, logs, capacity=limit, progress=lambda found: _show(f"{found} texts"))
        outcome = drill(url, loot, limit=limit, progress=lambda done, total: _show(f"{done} of {total} attempts"))
    finally:
        _show("")
    (print_document if as_json else print_report)(loot, outcome)
    _fail_if_due(loot, outcome)


def _fail_if_due(loot: Loot, outcome: Outcome) -> None:
    if outcome.findings:
        raise click.ClickException("The server accepted what was found at the places named above.")
    if outcome.unanswered:
        raise click.ClickException(f"{outcome.unanswered} attempts were not answered, so they prove nothing.")
    if not any(tally.tried for tally in outcome.tallies.values()):
        raise click.ClickException("Nothing could be tried, so nothing is proven.")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is no terminal to ask: use --yes.")
    click.confirm(question, abort=True, err=True)


def _show(progress: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{progress}", nl=False, err=True)
