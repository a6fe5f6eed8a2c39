"""Serves the demonstration: on this machine alone, with a database and a key that it makes by itself."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from ipaddress import ip_network

import click

from grantwell_migrations import upgrade

from .demo import DemoSettings, create_app, has_mcp
from .deployment import Deployment
from .processes import Process, run
from .seed import DEMO_USER, seed
from .sockets import bound_to, origin_of

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_GRACE_SECONDS = 5


def serve_demonstration(deployment: Deployment, *, host: str, port: int, workers: int, access_log: bool) -> None:
    """Serve until a signal comes. Raises UsageError for another host than this machine, ClickException."""
    if host not in _LOOPBACK:
        raise click.UsageError(
            "the demonstration is for this machine alone, because its user and its plain http are: "
            "--host is 127.0.0.1, ::1 or localhost."
        )
    with bound_to(host, port) as bound:
        port = bound.getsockname()[1]
        settings = DemoSettings(
            issuer=origin_of(host, port),
            database_url=deployment.database_url,
            secret_key_file=str(deployment.key_file),
            notes_file=str(deployment.beside("-notes.db")),
            cimd_allowed_networks=_networks(os.environ.get("GRANTWELL_CIMD_ALLOWED_NETWORKS", "")),
        )
        upgrade(deployment.database_url)
        # Out of the environment, so that no other process gets it.
        password = os.environ.pop("GRANTWELL_DEMO_PASSWORD", "")
        password_note = asyncio.run(seed(deployment, settings, password))
        announce = partial(click.echo, _announcement(settings, deployment, password_note))
        process = Process(workers=workers, access_log=access_log, grace=_GRACE_SECONDS)
        run(partial(create_app, settings), bound, process, announce=announce)


def _networks(text: str) -> tuple[str, ...]:
    networks = tuple(item.strip() for item in text.split(",") if item.strip())
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            raise click.ClickException(
                f"GRANTWELL_CIMD_ALLOWED_NETWORKS: {network!r} is not a network in CIDR notation, such as 10.0.0.0/8."
            ) from None
    return networks


def _announcement(settings: DemoSettings, deployment: Deployment, password_note: str) -> str:
    issuer = settings.issuer
    files = (str(deployment.database_file), settings.secret_key_file, settings.notes_file)
    lines = [
        f"The Grantwell demonstration is ready: {issuer}",
        "",
        f"  sign in    {DEMO_USER}, {password_note}",
        f"  pages      {issuer}/account",
        f"  API        {issuer}/api  {issuer}/api/me  {issuer}/api/notes",
    ]
    if has_mcp():
        lines.append(f"  MCP        {issuer}/mcp")
    else:
        lines.append("  MCP        not served: the package mcp is missing; pip install 'grantwell[mcp]'")
    lines += [
        f"  metadata   {issuer}/.well-known/oauth-authorization-server",
        f"  files      {deployment.database_file.parent.absolute()}: "
        + ", ".join(os.path.basename(name) for name in files),
        "",
        "Stop with Ctrl+C. To see a token work, be refreshed and die, open this and press Run all:",
        issuer,
    ]
    return "\n".join(lines)
