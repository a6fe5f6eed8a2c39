"""A server process of the race tests, on an inherited socket: `python -m tests.races.app FOLDER DESCRIPTOR [callback]`.

The folder holds what the processes share: `oauth.db`, `oauth.key`; `clock` with the seconds that the clock is ahead;
`calls`, one line for each run of the callback; and `hold`, while which exists the callback does not return.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import uvicorn

from grantwell import OAuthProvider, Resource, SecretKey, TokenExchange, TokenExchangeResult
from grantwell_storage import SQLStore
from tests.wire.world import ISSUER, SCOPES, api, site


def provider(folder: Path, *, with_callback: bool) -> OAuthProvider:
    """The server over what stands in the folder."""

    def clock() -> float:
        return time.time() + float((folder / "clock").read_text())

    async def upstream(event: TokenExchange) -> TokenExchangeResult:
        with (folder / "calls").open("a") as calls:
            calls.write(f"{event.idempotency_key} {os.getpid()}\n")
        while (folder / "hold").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return TokenExchangeResult(props={"generation": event.generation})

    return OAuthProvider(
        issuer=ISSUER,
        store=SQLStore(f"sqlite+aiosqlite:///{folder / 'oauth.db'}"),
        secret_key=SecretKey.file(folder / "oauth.key"),
        api_handlers={"/api": api},
        resources={"/api": Resource(scopes=SCOPES)},
        default_handler=site,
        clock=clock,
        token_exchange_callback=upstream if with_callback else None,
    )


if __name__ == "__main__":
    app = provider(Path(sys.argv[1]), with_callback="callback" in sys.argv)
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[2]))])
