"""URLs as client identifiers (threats 1.6): which may name a metadata document, without looking at it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.client_id_urls import check_client_id_url, is_client_id_url
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement


@requirement("S-422", "S-423")
@pytest.mark.parametrize(
    ("client_id", "host", "port", "path", "query"),
    [
        ("https://m1.test/c.json", "m1.test", None, "/c.json", None),
        ("https://m1.test/c", "m1.test", None, "/c", None),
        ("https://m1.test/c/", "m1.test", None, "/c/", None),
        ("https://m1.test//c", "m1.test", None, "//c", None),
        ("https://m1.test/C.JSON", "m1.test", None, "/C.JSON", None),
        ("https://m1.test/a..b/...", "m1.test", None, "/a..b/...", None),
        ("https://m1.test/a%2Bb%20c", "m1.test", None, "/a%2Bb%20c", None),
        ("https://m1.test/%E6%97%A5", "m1.test", None, "/%E6%97%A5", None),
        ("https://m1.test/c?v=1", "m1.test", None, "/c", "v=1"),
        ("https://m1.test/c?u=a%2Fb&../x", "m1.test", None, "/c", "u=a%2Fb&../x"),
        ("https://m1.test:8443/c", "m1.test", 8443, "/c", None),
        ("https://xn--e1afmkfd.test/c", "xn--e1afmkfd.test", None, "/c", None),
        ("https://a-1.b_2.m1.test/c", "a-1.b_2.m1.test", None, "/c", None),
        ("https://192.0.2.1/c", "192.0.2.1", None, "/c", None),
        ("https://m1.test/" + "c" * 2_032, "m1.test", None, "/" + "c" * 2_032, None),
    ],
)
def test_an_https_url_with_a_path_may_identify_a_client(
    client_id: str, host: str, port: int | None, path: str, query: str | None
) -> None:
    url = check_client_id_url(client_id)
    assert (url.scheme, url.host, url.port, url.path, url.query) == ("https", host, port, path, query)
    assert url.fragment is None
    assert is_client_id_url(client_id)


REFUSED: dict[str, dict[str, list[str]]] = {
    "A-115": {
        "not an https URL": [
            *("", "m1.test/c", "//m1.test/c", "/c", "https:", "https:/m1.test/c", "https:m1.test/c", "https:///c"),
            *("http://m1.test/c.json", "HTTPS:m1.test/c", "HTTPS://m1.test/c", "Https://m1.test/c", "https://"),
            *("ftp://m1.test/c", "wss://m1.test/c", "urn:m1:c", "data:text/html,x", "file:///c", "javascript:c"),
        ],
        "no path": [
            *("https://m1.test", "https://m1.test/", "https://m1.test?x=/c", "https://m1.test/?x=/c"),
            *("https://m1.test//", "https://m1.test///?c"),
        ],
    },
    "A-116": {
        "not an https URL": [
            *("https://u@m1.test/c", "https://u:p@m1.test/c", "https://@m1.test/c", "https://m1.test:443@evil.test/c"),
            *(r"https://m1.test\c", r"https://m1.test/a\..\c", r"https:\\m1.test\c", r"https://evil.test\@m1.test/c"),
            *("https://m1.test/c\t", "\thttps://m1.test/c", "ht\ttps://m1.test/c", "https://m1.test/a\tb"),
            *("https://m1.test/c ", " https://m1.test/c", "https://m1.test/a b", "https://m1 .test/c"),
            *("https://m1.test/c\n", "https://m1.test/\r\nc", "https://m1.test\x00/c", "https://m1.test/\x7f"),
            *("https://m1.test./c", "https://./c", "https://.m1.test/c", "https://m1..test/c", "https://-m1.test/c"),
            *("https://\u04351.test/c", "https://m1\uff0etest/c", "https://m1\u3002test/c", "https://m1.test/\u00e9"),
            *("https://m1\u200d.test/c", "https://\u212a1.test/c", "https://m1.test/\ud800", "https://m1%2Etest/c"),
            *("https://m1.test:/c", "https://m1.test:0/c", "https://m1.test:0443/c", "https://m1.test:65536/c"),
            *("https://m1.test:+443/c", "https://m1.test:\uff14\uff14\uff13/c", "https://m1.test/%zz"),
            *("https://m1.test/%", 'https://m1.test/"c"', "https://m1.test/<c>", "https://m1.test/{c}"),
            "https://" + "a" * 64 + ".test/c",
        ],
        "fragment": ["https://m1.test/c#f", "https://m1.test/c#", "https://m1.test/c?x#f"],
        "dot segments": [
            *("https://m1.test/a/../c", "https://m1.test/./c", "https://m1.test/c/.", "https://m1.test/c/.."),
            *("https://m1.test/%2e%2e/c", "https://m1.test/a/.%2E/c", "https://m1.test/%2E/c", "https://m1.test/..;/c"),
            *("https://m1.test/a%2F..%2fc", "https://m1.test/a/..;x=1/c"),
        ],
        "capital letters": ["https://M1.test/c", "https://m1.Test/c"],
        "default port": ["https://m1.test:443/c"],
        "encoded control": [
            *("https://m1.test/%00", "https://m1.test/c%0d%0aX", "https://m1.test/c%1F", "https://m1.test/c%7f"),
            *("https://m1.test/a%5C..%5cc", "https://m1.test/c?x=%00", "https://m1.test/c?x=%0A"),
        ],
        "longer than 2048": ["https://m1.test/" + "c" * 2_033, "https://m1.test/" + "c" * 1_000_000],
    },
    "A-117": {
        "not an https URL": [
            *("https://0x7f.1/c", "https://2130706433/c", "https://0x7f000001/c", "https://017700000001/c"),
            *("https://127.1/c", "https://127.0.0.01/c", "https://0177.0.0.1/c", "https://1.2.3.4.5/c"),
            *("https://m1.256/c", "https://[::1/c", "https://[::g]/c", "https://[fe80::1%25eth0]/c", "https://::1/c"),
            *("https://[v1.x]/c", "https://[]/c", "https://127.0.0.1./c", "https://0x7f.0x1/c"),
        ],
    },
}


@pytest.mark.parametrize(
    ("reason", "client_id"),
    [
        pytest.param(reason, client_id, id=f"{id_}-{reason}-{number}", marks=requirement("S-423", id_))
        for id_, reasons in REFUSED.items()
        for reason, client_ids in reasons.items()
        for number, client_id in enumerate(client_ids)
    ],
)
def test_any_other_url_is_refused_with_a_reason(reason: str, client_id: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_client_id_url(client_id)


@requirement("S-422", "S-439", "A-115")
@pytest.mark.parametrize(
    ("client_id", "is_url"),
    [
        ("https://m1.test/c", True),
        ("https://", True),
        ("https://m1.test", True),
        ("https://u@m1.test/../c#f", True),
        ("", False),
        ("https:/m1.test/c", False),
        ("HTTPS://m1.test/c", False),
        ("http://m1.test/c", False),
        (" https://m1.test/c", False),
        ("c2FtcGxlLWNsaWVudC1pZA", False),
    ],
)
def test_whatever_begins_with_https_is_never_looked_up_as_a_registered_client(client_id: str, is_url: bool) -> None:
    assert is_client_id_url(client_id) is is_url


@requirement("S-423", "A-116")
@given(text=st.one_of(st.text(), st.text("htps:/.@?#%0m1\\:43-[]A", max_size=40).map("https://m1.test/".__add__)))
def test_any_text_is_accepted_in_its_one_spelling_or_refused_without_an_echo(text: str) -> None:
    text += "canary"
    url, error = attempt(ValueError, lambda: check_client_id_url(text))
    if url is None:
        assert type(error) is ValueError
        assert "canary" not in str(error)
    else:
        port = "" if url.port is None else f":{url.port}"
        query = "" if url.query is None else f"?{url.query}"
        assert text == f"https://{url.host}{port}{url.path}{query}"
        assert text.isascii()
        assert url.host == url.host.lower()
