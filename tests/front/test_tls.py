"""An upstream behind TLS: it is spoken to only if its certificate is believed for its name."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidStatus

from tests.front.place import fronted
from tests.front.proxies import said
from tests.outbound.certificates import Authority
from tests.resource.host import answering, hosted, http

pytestmark = [pytest.mark.anyio, pytest.mark.system]
requirement = pytest.mark.requirement


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The authority whose certificates are believed, named by the environment as operators do it."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    return authority


@requirement("G-598")
async def test_calls_go_over_tls_to_whoever_proves_the_name(
    trusted: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Authority(tmp_path, "Somebody else")
    contexts = {
        200: [trusted.context("localhost")],
        502: [stranger.context("localhost"), trusted.context("other.test")],
    }
    for status, several in contexts.items():
        for context in several:
            async with hosted(answering(http(b"ok")), tls=context, name="localhost") as host:
                upstream = host.url.removesuffix("/introspect").replace("http://", "https://")
                async with fronted(upstream) as place:
                    with caplog.at_level(logging.WARNING, "grantwell"):
                        for _ in range(2):
                            assert (await place.ask("GET /api/x")).status == status
                assert len(host.requests) == (2 if status == 200 else 0)
                assert host.connections <= (1 if status == 200 else 2)
    lines = [record.getMessage() for record in caplog.records if record.name == "grantwell"]
    assert len([line for line in lines if "its certificate is not acceptable" in line]) == 4


@requirement("G-598")
async def test_websockets_go_over_tls_to_whoever_proves_the_name(trusted: Authority) -> None:
    for context, status in ((trusted.context("localhost"), 101), (trusted.context("other.test"), 502)):
        async with serve(said, "127.0.0.1", 0, ssl=context) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with fronted(f"https://localhost:{port}", websockets="auto") as place:
                headers = {"Authorization": f"Bearer {place.token}"}
                opening = connect(f"ws://127.0.0.1:{place.port}/api/ws", additional_headers=headers, proxy=None)
                if status == 101:
                    async with opening as client:
                        assert await client.recv() == "u1"
                else:
                    with pytest.raises(InvalidStatus) as refusal:
                        await opening
                    assert refusal.value.response.status_code == status
