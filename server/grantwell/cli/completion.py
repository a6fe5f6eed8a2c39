"""`grantwell completion`: what a shell needs to complete commands, options, and ids out of the database."""

from __future__ import annotations

import asyncio
import re
from typing import Literal

import click
from click.shell_completion import CompletionItem, get_completion_class

from ..errors import GrantwellError
from ..store import ClientQuery, UserQuery
from .deployment import Deployment, helpers_of
from .output import plain

Kind = Literal["client", "grant", "user"]

_MOST_IDS = 1000
# What a shell takes as it stands. Ids are of strangers, and what is completed is run when a person presses Enter.
_HARMLESS = re.compile(r"[A-Za-z0-9._:@%+/=-]+")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands, options and ids.

    \b
    bash: grantwell completion bash > ~/.local/share/bash-completion/completions/grantwell
    zsh:  grantwell completion zsh > ~/.zfunc/_grantwell      (a folder of $fpath)
    fish: grantwell completion fish > ~/.config/fish/completions/grantwell.fish
    """
    script = get_completion_class(shell)
    if script is None:
        raise click.ClickException(f"This version of Click knows no {shell}.")
    click.echo(script(context.find_root().command, {}, "grantwell", "_GRANTWELL_COMPLETE").source())


def ids(kind: Kind, database_url: str, beginning: str) -> list[CompletionItem]:
    """The ids of a kind that begin so, the newest first; none where the database cannot be read."""
    try:
        found = asyncio.run(_found(kind, Deployment(database_url=database_url)))
    except GrantwellError:
        return []
    return [
        CompletionItem(value, help=plain(text) if text else None)
        for value, text in found
        if value.startswith(beginning) and _HARMLESS.fullmatch(value)
    ]


async def _found(kind: Kind, deployment: Deployment) -> list[tuple[str, str | None]]:
    async with deployment.store() as store:
        if kind == "client":
            clients = await store.list_clients(ClientQuery(limit=_MOST_IDS))
            return [(client.client_id, client.name) for client in clients.items]
        if kind == "user":
            users = await store.list_users(UserQuery(limit=_MOST_IDS))
            return [(user.user_id, user.name) for user in users.items]
        grants = await helpers_of(store, None).list_grants(limit=_MOST_IDS)
        return [(grant.grant_id, f"{grant.user_id or '-'} {grant.client_id}") for grant in grants.items]
