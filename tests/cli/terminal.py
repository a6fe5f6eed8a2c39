"""Runs commands, and makes the rows that they work on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from click.testing import CliRunner, Result

from grantwell import AuthorizationRequest, Client, OAuthProvider, Resource, SecretKey
from grantwell.cli import main
from grantwell_storage import SQLStore
from tests.interop.person import CHALLENGE

T = TypeVar("T")

REDIRECT = "http://127.0.0.1/cb"


@dataclass(frozen=True)
class Terminal:
    """A folder in which commands are run."""

    folder: Path

    def __call__(self, *words: str, code: int = 0, stdin: str | bytes | None = None, **environment: str) -> Result:
        """Run `grantwell` with these words; it must end with this exit code, and never in a traceback."""
        result = CliRunner().invoke(main, words, input=stdin, env=environment, prog_name="grantwell")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    def json(self, *words: str, **environment: str) -> Any:
        """What a command prints with `--json`."""
        return json.loads(self(*words, "--json", code=0, stdin=None, **environment).stdout)

    def client(self, *words: str) -> Any:
        """Create a public client; returns its document."""
        return self.json("clients", "create", "--public", "--redirect-uri", REDIRECT, *words)

    def with_provider(self, work: Callable[[OAuthProvider], Awaitable[T]]) -> T:
        """Let a server of the application, with a clean store, do something with the database of this folder."""

        async def run() -> T:
            provider = OAuthProvider(
                issuer="https://api.example.com",
                store=SQLStore("sqlite+aiosqlite:///grantwell.db"),
                secret_key=SecretKey.file("grantwell.key"),
                api_handlers={"/api": _nothing},
                resources={"/api": Resource(scopes={"read": "Read", "write": "Write"})},
            )
            async with provider.running():
                return await work(provider)

        return asyncio.run(run())

    def grant(self, client_id: str, user_id: str = "u1") -> str:
        """Let a user allow a client something; returns the id of the pending grant."""

        async def allow(provider: OAuthProvider) -> str:
            client = await provider.helpers.lookup_client(client_id)
            assert client is not None
            await provider.helpers.complete_authorization(_request(client), user_id=user_id)
            page = await provider.helpers.list_grants(user_id=user_id, client_id=client_id)
            return page.items[0].grant_id

        return self.with_provider(allow)


def _request(client: Client) -> AuthorizationRequest:
    return AuthorizationRequest(
        client_id=client.client_id,
        client=client,
        redirect_uri=client.redirect_uris[0],
        scopes=("read",),
        resources=("https://api.example.com/api",),
        code_challenge=CHALLENGE,
        state=None,
    )


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError
