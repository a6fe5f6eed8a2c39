"""`grantwell serve`: the server of a configuration, or the demonstration."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any

import click

from grantwell_migrations import upgrade

from ..crypto import Keyring
from ..signin import Accounts
from ..store import UserQuery
from .config import Loaded, Options, read
from .configuring import warn
from .demonstration import serve_demonstration
from .deployment import ANY_ISSUER, Deployment
from .options import DEFAULT_CONFIG, DEFAULT_DATABASE_URL, config_file, is_configured, with_config
from .processes import Process, run
from .serving import checked, create_app
from .sockets import bound_to, origin_of

_SAMPLE = 100


@click.command()
@click.option("--demo", is_flag=True, help="Serve the demonstration: an API, an MCP server, and a user `demo`.")
@click.option(
    "--host", metavar="ADDRESS", help="The address to listen at.  [default: the configured one, or 127.0.0.1]"
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="The port to listen at; 0 takes one that is free.  [default: the configured one, or 8000]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    metavar="N",
    help="How many processes serve.  [default: as configured, or 1]",
)
@click.option("--access-log/--no-access-log", default=None, help="Log each request, without its query.")
@click.option("--migrate", is_flag=True, help="Bring the database to the schema of this version first.")
@click.option("--database-url", metavar="URL", envvar="GRANTWELL_DATABASE_URL", show_envvar=True, help="The database.")
@click.option(
    "--secret-key-file",
    metavar="FILE",
    envvar="GRANTWELL_SECRET_KEY_FILE",
    show_envvar=True,
    help="The file with the deployment key.",
)
@with_config
@click.pass_context
def serve(
    context: click.Context,
    demo: bool,
    migrate: bool,
    host: str | None,
    port: int | None,
    workers: int | None,
    access_log: bool | None,
    database_url: str | None,
    secret_key_file: str | None,
) -> None:
    """Serve what the configuration describes, until a signal comes.

    `grantwell init` writes a configuration to begin with. What is wrong with it is said at once, and nothing is
    started. Whether the process answers is told at /healthz, and whether it can serve at /readyz. A stop (SIGTERM or
    Ctrl+C) lets requests finish; systemd is told when it is ready (Type=notify).

    With --demo, the demonstration is served on this machine alone, with a database and a key that it makes by itself.
    The password of its user `demo` is $GRANTWELL_DEMO_PASSWORD; without it a random one, printed at the first start.
    Client metadata documents are fetched from public hosts, and from the networks in
    $GRANTWELL_CIMD_ALLOWED_NETWORKS (CIDR, separated by commas), by certificates that $SSL_CERT_FILE may name.
    """
    file = config_file(context)
    if demo:
        if file is not None or is_configured(file):
            raise click.UsageError(
                "the demonstration makes a user and keys of its own, and is not served where there is a configuration "
                f"({file or 'in the environment'}): try it in another folder."
            )
        deployment = Deployment(database_url=database_url or DEFAULT_DATABASE_URL, secret_key_file=secret_key_file)
        serve_demonstration(
            deployment,
            host="127.0.0.1" if host is None else host,
            port=8000 if port is None else port,
            workers=workers or 1,
            access_log=access_log is not False,
        )
        return
    if not is_configured(file):
        raise click.UsageError(
            f"there is no {DEFAULT_CONFIG} here: run grantwell init, name one with --config, or look at the "
            "demonstration first: grantwell serve --demo"
        )
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "workers": workers,
        "access_log": access_log,
        "database_url": database_url,
        "secret_key_file": secret_key_file,
    }
    options: Options = {
        ("server", name): (f"--{name.replace('_', '-')}", value) for name, value in given.items() if value is not None
    }
    _serve_configured(read(file, os.environ, options), migrate=migrate)


def _serve_configured(loaded: Loaded, *, migrate: bool) -> None:
    checked(loaded)
    warn(loaded)
    server = loaded.configuration.server
    deployment = Deployment.of(server)
    with bound_to(server.host, server.port) as bound:
        if migrate:
            upgrade(server.database_url)
        asyncio.run(_made_ready(deployment))
        announce = partial(click.echo, _announcement(loaded, bound.getsockname()[1]))
        process = Process(workers=server.workers, access_log=server.access_log, grace=server.shutdown_timeout)
        run(partial(create_app, loaded), bound, process, announce=announce)


async def _made_ready(deployment: Deployment) -> None:
    """See that schema and key are there and belong together, while there is somebody to tell."""
    async with deployment.store() as store:
        accounts = Accounts(store, Keyring(ANY_ISSUER, await deployment.secret_key(store)))
        users = (await store.list_users(UserQuery(limit=_SAMPLE))).items
        # One row may have been spoiled by somebody; all of them are the key.
        if users and not (await accounts.list(limit=_SAMPLE)).items:
            raise click.ClickException(
                f"No user in this database was written with the key {deployment.key_file}: it is another database's."
            )


def _announcement(loaded: Loaded, port: int) -> str:
    server = loaded.configuration.server
    address = origin_of(server.host, port)
    lines = [f"Grantwell serves {server.issuer} at {address}", ""]
    width = max((len(api.prefix) for api in loaded.configuration.api), default=0)
    lines += [f"  {api.prefix:{width}}  {api.upstream or api.app or 'elsewhere'}" for api in loaded.configuration.api]
    return "\n".join([*lines, "", "Stop with Ctrl+C. It listens at:", address])
