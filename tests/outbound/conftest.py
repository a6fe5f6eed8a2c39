"""The small internet, and the authority whose certificates the tests believe."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.outbound.certificates import Authority
from tests.outbound.internet import Internet


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The one that is trusted."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def internet(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Internet]:
    """A world without hosts. Afterwards every socket that a fetcher was given has to be closed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    world = Internet(authority)
    yield world
    await world.close()
    assert [sock for sock in world.sockets if sock.fileno() != -1] == []
