"""An upstream that streams, and Grantwell's front before it, each a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell.front import Front
from grantwell_storage import SQLStore

from .servers import ISSUER

MIB = 2**20
_PIECE = b"x" * 65536


async def _thing(request: Request) -> JSONResponse:
    return JSONResponse({"hello": "world"})


async def _bytes(request: Request) -> StreamingResponse:
    size = int(request.query_params["mib"]) * MIB

    async def body() -> AsyncIterator[bytes]:
        for _ in range(size // len(_PIECE)):
            yield _PIECE

    return StreamingResponse(body(), headers={"Content-Length": str(size)})


async def _count(request: Request) -> PlainTextResponse:
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return PlainTextResponse(str(size))


async def _events(request: Request) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        number = 0
        while True:
            yield f"data: {number}\n\n".encode()
            number += 1
            await asyncio.sleep(0.1)

    return StreamingResponse(body(), media_type="text/event-stream")


def upstream_app() -> Starlette:
    """The API: a small answer, as many MiB as are asked for, a count of what was sent, and ten events a second."""
    return Starlette(
        routes=[
            Route("/api/thing", _thing),
            Route("/api/bytes", _bytes),
            Route("/api/count", _count, methods=["POST"]),
            Route("/api/events", _events),
        ]
    )


def fronted_app(folder: Path, upstream_port: int) -> OAuthProvider:
    """Grantwell on SQLite, with a front before the API."""
    return OAuthProvider(
        issuer=ISSUER,
        store=SQLStore(f"sqlite+aiosqlite:///{folder / 'bench.db'}"),
        secret_key=SecretKey.file(folder / "bench.key"),
        api_handlers={"/api": Front(f"http://127.0.0.1:{upstream_port}")},
        resources={"/api": Resource(scopes={"read": "Read"})},
        code_ttl=600,
    )


def upstream_command(port: int) -> list[str]:
    """The command line that serves the API."""
    return [sys.executable, "-m", "benchmarks.front_servers", str(port)]


def front_command(folder: Path, port: int, upstream_port: int) -> list[str]:
    """The command line that serves the front."""
    return [sys.executable, "-m", "benchmarks.front_servers", str(port), str(folder), str(upstream_port)]


def main(port: str, folder: str = "", upstream_port: str = "") -> None:
    """Serve until told to stop."""
    app = fronted_app(Path(folder), int(upstream_port)) if folder else upstream_app()
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
