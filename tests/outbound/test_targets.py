"""URLs that are refused for what they say, without a query or a connection (threats A-115 to A-118, A-140)."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._outbound.failures import FetchFailed
from grantwell._outbound.targets import Target, parse_target
from tests.outbound.internet import Internet
from tests.protocol.attempts import attempt

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

REFUSED: dict[str, list[str]] = {
    "A-115": [
        *("", "m1.test", "/c.json", "//m1.test/c.json", "http://m1.test/c.json", "http://m1.test:443/c.json"),
        *("ftp://m1.test/c.json", "file:///etc/passwd", "gopher://m1.test/_", "data:application/json,{}"),
        *("https:m1.test/c.json", "https:/m1.test/c.json", "https://", "https:///c.json", "jar:https://m1.test/c!/"),
    ],
    "A-116": [
        *("https://u@m1.test/c", "https://u:p@m1.test/c", "https://m1.test@m2.test/c", "https://m1.test/c#f"),
        *(
            "https://m1.test/c#",
            "https://m1.test/../c",
            "https://m1.test/a/%2e%2e/c",
            "https://m1.test/.",
            "https:\\\\x",
        ),
        *(
            r"https://m1.test\c",
            r"https://m2.test\@m1.test/c",
            "https://m1.test/\tc",
            "https://m1.test/ c",
            " https://m1.test/c",
        ),
        *(
            "https://m1.test/c\r\nX: y",
            "https://m1.test\r\nX:y/c",
            "https://m1.test/\x00",
            "https://m1.test\x00.m2.test/",
        ),
        *("https://m1.test:22/c", "https://m1.test:80/c", "https://m1.test:8443/c", "https://m1.test:1/c"),
        *("https://m1.test:65535/c", "https://m1.test:65979/c", "https://m1.test:0/c", "https://m1.test:-443/c"),
        *("https://m1.test./c", "https://m1..test/c", "https://.test/c", "https://m1.test:443:443/c"),
        *("https://\u04351.test/c", "https://m1\u3002test/c", "https://m1.t\u00e9st/c", "https://m1%2etest/c"),
        "https://m1.test/" + "c" * 2_033,
    ],
    "A-117": [
        *("https://127.0.0.1/c", "https://10.0.0.1/c", "https://169.254.169.254/c", "https://8.8.8.8/c"),
        *("https://0x7f.1/c", "https://2130706433/c", "https://0/c", "https://127.1/c", "https://0177.0.0.1/c"),
        *("https://127.0.0.1./c", "https://0x7f000001/c", "https://1.1/c", "https://m1.1/c", "https://m1.0x1/c"),
        *("https://[::1]/c", "https://[::]/c", "https://[::ffff:127.0.0.1]/c", "https://[2606:4700::1111]/c"),
        *("https://[fe80::1%25eth0]/c", "https://[fd00::1]/c", "https://[64:ff9b::7f00:1]/c", "https://[::1/c"),
    ],
    "A-118": [
        *("https://localhost/c", "https://LOCALHOST/c", "https://foo.localhost/c", "https://localhost.localdomain/c"),
        *("https://metadata.google.internal/c", "https://Metadata.Google.Internal/c", "https://x.internal/c"),
        *("https://x.local/c", "https://printer.x.LOCAL/c", "https://single-label/c", "https://test/c", "https://ai/c"),
        *("https://router.home.arpa/c", "https://1.0.0.127.in-addr.arpa/c", "https://x.lan/c", "https://x.home/c"),
        *(
            "https://x.corp/c",
            "https://x.intranet/c",
            "https://x.private/c",
            "https://x.onion/c",
            "https://x.invalid/c",
        ),
        "https://x.alt/c",
    ],
}


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(url, id=f"{id_}-{number}", marks=requirement(id_, "S-464"))
        for id_, urls in REFUSED.items()
        for number, url in enumerate(urls)
    ],
)
async def test_a_url_that_is_no_public_https_url_is_refused_without_a_query(url: str, internet: Internet) -> None:
    for name in ("m1.test", "m2.test", "localhost", "single-label", "m1.test."):
        internet.name(name, ["8.8.8.8"])
    with pytest.raises(FetchFailed):
        await internet.get(url)
    assert (internet.queries, internet.connections) == ([], [])


@requirement("A-140")
@pytest.mark.parametrize(
    "url",
    [
        "https://as.test/c.json",
        "https://as.test:443/c.json",
        "HTTPS://AS.test/c.json",
        "https://as.test",
        "https://api.test:8443/c.json",
    ],
)
async def test_a_url_of_the_server_itself_is_refused_without_a_query(url: str, internet: Internet) -> None:
    internet.name("as.test", ["8.8.8.8"])
    everywhere = (ip_network("0.0.0.0/0"),)
    origins = frozenset({"https://as.test", "https://api.test:8443"})
    with pytest.raises(FetchFailed, match="leads back to this server"):
        await internet.get(url, refused_origins=origins, allowed_networks=everywhere)
    assert (internet.queries, internet.connections) == ([], [])


@requirement("A-140")
@pytest.mark.parametrize("url", ["https://www.as.test/c", "https://as.test.m1.test/c", "https://m1.test/as.test"])
async def test_other_hosts_are_not_taken_for_the_server(url: str, internet: Internet) -> None:
    origins = frozenset({"https://as.test"})
    assert parse_target(url, allowed_networks=(), refused_origins=origins).host == url.split("/")[2]


@requirement("S-464")
@pytest.mark.parametrize(
    ("url", "host", "host_header", "request_target"),
    [
        ("https://m1.test", "m1.test", "m1.test", "/"),
        ("https://m1.test/", "m1.test", "m1.test", "/"),
        ("https://m1.test:443/c", "m1.test", "m1.test", "/c"),
        ("HTTPS://M1.Test/C?A=%2F", "m1.test", "m1.test", "/C?A=%2F"),
        ("https://m1.test?x", "m1.test", "m1.test", "/?x"),
        ("https://m1.test/c?", "m1.test", "m1.test", "/c?"),
        ("https://localhost.m1.test/c", "localhost.m1.test", "localhost.m1.test", "/c"),
        ("https://local.test/internal", "local.test", "local.test", "/internal"),
    ],
)
def test_a_url_of_a_public_name_leads_to_port_443(url: str, host: str, host_header: str, request_target: str) -> None:
    assert parse_target(url, allowed_networks=(), refused_origins=frozenset()) == Target(
        host=host, port=443, address=None, internal=False, host_header=host_header, request_target=request_target
    )


@requirement("S-464")
@given(
    st.one_of(
        st.text(),
        st.text("abm1.:-_[]0x/?#%2e@\\ \tA", max_size=40).map("https://".__add__),
    )
)
def test_any_text_leads_to_port_443_of_a_public_name_or_is_refused_without_an_echo(text: str) -> None:
    text += "canary"
    target, error = attempt(FetchFailed, lambda: parse_target(text, allowed_networks=(), refused_origins=frozenset()))
    if target is None:
        assert "canary" not in str(error)
    else:
        assert (target.port, target.address, target.internal) == (443, None, False)
        assert "." in target.host
        assert not set(target.host_header + target.request_target) & set(" \t\r\n\\#@")
