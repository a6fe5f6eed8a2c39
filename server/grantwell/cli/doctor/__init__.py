"""`grantwell doctor`: a deployment seen from outside, with the eyes of the clients that people use."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import click

from ..leak_drill.exchange import is_loopback
from ..options import with_json
from ..output import print_json
from .examination import examine
from .findings import Finding, Outcome, Report
from .personas import PERSONAS

__all__ = ["doctor"]

_MARKS: dict[Outcome, str] = {"ok": "ok      ", "warning": "warning ", "failed": "FAILED  ", "skipped": "skipped "}


def _resource_url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.fragment or parts.username or not value.isascii() or not value.isprintable() or " " in value:
        raise click.BadParameter("is the URL that people give their client, as in https://api.example.com/mcp.")
    if parts.scheme == "http" and not is_loopback(value):
        raise click.BadParameter("must be https, unless the server is on this machine: no client accepts less.")
    return value


@click.command()
@click.argument("url", callback=_resource_url)
@click.option(
    "--as",
    "names",
    multiple=True,
    type=click.Choice([persona.name for persona in PERSONAS], case_sensitive=False),
    help="Play this client alone; may be repeated.  [default: all]",
)
@click.option("--read-only", is_flag=True, help="Register no clients.")
@with_json
def doctor(url: str, names: tuple[str, ...], read_only: bool, as_json: bool) -> None:
    """Check a deployment from outside, as the clients that people use.

    URL is what people give their client: the address of the protected API or MCP server. It is looked at as Claude,
    Claude Code, ChatGPT, Cursor, VS Code and the MCP Inspector do: TLS, challenge, both metadata documents, what is
    open to scripts, proxy headers, registration, the way to the sign-in page, and the errors that clients heal
    themselves by. Each client registers itself under its name and "(grantwell doctor)" unless it has a metadata
    document that the server takes; where the server lets a client delete itself, it does so, and otherwise it goes by
    itself after a day. Nobody signs in. The exit code is 1 if a check failed.
    """
    personas = [persona for persona in PERSONAS if not names or persona.name in names]
    report = Report(_ignore if as_json else _show)
    left = asyncio.run(examine(url, personas, report, read_only=read_only))
    verdicts = {persona.name: report.verdict(persona.name) for persona in personas}
    if as_json:
        findings = [
            {"step": f.step, "outcome": f.outcome, "text": f.text, "cure": f.cure, "affects": list(f.affects)}
            for f in report.findings
        ]
        print_json({"url": url, "clients": verdicts, "findings": findings, "registrations_left": left})
    else:
        _summarize(verdicts, left)
    if report.failed:
        raise click.exceptions.Exit(1)


def _show(finding: Finding) -> None:
    click.echo(f"{_MARKS[finding.outcome]}{finding.step}: {finding.text}")
    if finding.cure:
        click.echo(f"        → {finding.cure}")


def _ignore(finding: Finding) -> None:
    """JSON is printed whole, at the end."""


def _summarize(verdicts: dict[str, Outcome], left: int) -> None:
    click.echo()
    for name, outcome in verdicts.items():
        click.echo(f"{_MARKS[outcome]}{name}")
    if left:
        click.echo(f"\n{left} clients named “… (grantwell doctor)” are left; unused ones go by themselves after a day.")
