"""`grantwell serve`: the demonstration, on this machine alone."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import partial
from ipaddress import ip_network

import click

from grantwell_migrations import upgrade

from .demo import DemoSettings, has_mcp
from .deployment import Deployment
from .options import with_database, with_key
from .processes import run
from .seed import DEMO_USER, seed

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_BACKLOG = 2048
# The one that an origin leaves out.
_HTTP_PORT = 80


@click.command()
@click.option("--demo", is_flag=True, help="Serve the demonstration: an API, an MCP server, and a user `demo`.")
@click.option("--host", default="127.0.0.1", show_default=True, help="One of 127.0.0.1, ::1 and localhost.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes one that is free."
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="How many processes serve.")
@click.option("--access-log/--no-access-log", default=True, help="Log each request, without its query.")
@with_database
@with_key
def serve(
    demo: bool,
    host: str,
    port: int,
    workers: int,
    access_log: bool,
    database_url: str,
    secret_key_file: str | None,
) -> None:
    """Serve the demonstration, with a database and a key that it makes by itself.

    The password of the user `demo` is $GRANTWELL_DEMO_PASSWORD; without it a random one, printed at the first start.
    Client metadata documents are fetched from public hosts, and from the networks in
    $GRANTWELL_CIMD_ALLOWED_NETWORKS (CIDR, separated by commas), by certificates that $SSL_CERT_FILE may name.
    """
    if not demo:
        raise click.UsageError(
            "this version serves its demonstration alone: grantwell serve --demo. "
            "For an API of your own, wrap it in grantwell.OAuthProvider."
        )
    if host not in _LOOPBACK:
        raise click.UsageError(
            "the demonstration is for this machine alone, because its user and its plain http are: "
            "--host is 127.0.0.1, ::1 or localhost."
        )
    with _bound(host, port) as bound:
        port = bound.getsockname()[1]
        deployment = Deployment(database_url=database_url, secret_key_file=secret_key_file)
        settings = DemoSettings(
            issuer=_origin(host, port),
            database_url=database_url,
            secret_key_file=str(deployment.key_file),
            notes_file=str(deployment.beside("-notes.db")),
            cimd_allowed_networks=_networks(os.environ.get("GRANTWELL_CIMD_ALLOWED_NETWORKS", "")),
        )
        upgrade(database_url)
        # Out of the environment, so that no other process gets it.
        password = os.environ.pop("GRANTWELL_DEMO_PASSWORD", "")
        password_note = asyncio.run(seed(deployment, settings, password))
        bound.listen(_BACKLOG)
        announce = partial(click.echo, _announcement(settings, deployment, password_note))
        run(settings, bound, workers=workers, access_log=access_log, announce=announce)


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


def _origin(host: str, port: int) -> str:
    authority = f"[{host}]" if ":" in host else host
    return f"http://{authority}" if port == _HTTP_PORT else f"http://{authority}:{port}"


def _bound(host: str, port: int) -> socket.socket:
    """The socket to serve on, taken before anything is changed on the disk."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, because asyncio turns off Nagle's delay only on sockets that say they are TCP.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(f"Port {port} of {host} is taken; choose another one with --port.") from None
        raise click.ClickException(f"Cannot serve on port {port} of {host}: {error.strerror}.") from None
    return bound


def _announcement(settings: DemoSettings, deployment: Deployment, password_note: str) -> str:
    issuer = settings.issuer
    files = (str(deployment.database_file), settings.secret_key_file, settings.notes_file)
    lines = [
        f"The Grantwell demonstration is ready: {issuer}",
        "",
        f"  sign in    {DEMO_USER}, {password_note}",
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
