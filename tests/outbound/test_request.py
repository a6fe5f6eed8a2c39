"""What a document's host is sent, and what the environment has no say in (threats A-139 and A-144)."""

from __future__ import annotations

import pytest

from grantwell._outbound.failures import FetchFailed
from tests.outbound.internet import MOST_BYTES, Host, Internet, http, silent

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


@requirement("A-144", "S-464", "C-072")
@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("https://m1.test/c.json", "GET /c.json HTTP/1.1", "m1.test"),
        ("https://m1.test", "GET / HTTP/1.1", "m1.test"),
        ("https://m1.test?x=1", "GET /?x=1 HTTP/1.1", "m1.test"),
        ("HTTPS://M1.TEST:443/C%2f?A=%20&b", "GET /C%2f?A=%20&b HTTP/1.1", "m1.test"),
    ],
)
async def test_the_request_is_a_plain_get_and_the_same_for_everybody(
    url: str, line: str, host: str, internet: Internet
) -> None:
    server = await internet.serve()
    await internet.get(url)
    sent = [
        line,
        f"Host: {host}",
        "User-Agent: grantwell",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Connection: close",
    ]
    assert server.requests == [("\r\n".join(sent) + "\r\n\r\n").encode()]


@requirement("A-144")
async def test_what_one_answer_asks_for_is_not_in_the_next_request(internet: Internet) -> None:
    fields = ("Set-Cookie: a=b; Path=/", 'ETag: "x"', "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT")
    server = await internet.serve(http(b"{}", *fields, "Accept-CH: Sec-CH-UA", 'Alt-Svc: h3=":443"'))
    fetcher = internet.fetcher()
    for address in ("192.0.2.1", "192.0.2.2"):
        await fetcher.get("https://m1.test/c", most_bytes=MOST_BYTES, on_behalf_of=address)
    assert len(set(server.requests)) == 1
    assert len(server.requests) == server.connections == 2


@requirement("A-139", "S-464")
@pytest.mark.parametrize("no_proxy", ["", "*", "m1.test"])
async def test_proxies_of_the_environment_are_not_used(
    no_proxy: str, internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Host(silent, None)
    await proxy.open()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "SOCKS_PROXY"):
        for spelling in (name, name.lower()):
            monkeypatch.setenv(spelling, f"http://127.0.0.1:{proxy.port}")
    for spelling in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(spelling, no_proxy)
    server = await internet.serve(http(b"here"))
    assert (await internet.get()).body == b"here"
    internet.name("m1.test", ["127.0.0.1"])
    with pytest.raises(FetchFailed):
        await internet.get()
    assert (proxy.connections, server.connections) == (0, 1)
    await proxy.close()


@requirement("S-464")
async def test_the_reason_of_a_failure_quotes_nothing_that_a_host_sent(internet: Internet) -> None:
    answers = [
        http(b"canary", status="404 canary"),
        http(b"canary", "Content-Encoding: canary"),
        http(b"canary" * 1_000),
        b"canary canary canary\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncanary\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: canary\r\n\r\n",
    ]
    for number, answer in enumerate(answers):
        await internet.serve(answer, name=f"n{number}.test", address=f"1.1.1.{number}")
        with pytest.raises(FetchFailed) as caught:
            await internet.get(f"https://n{number}.test/c")
        assert "canary" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
