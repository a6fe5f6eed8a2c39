"""Redirect URIs (threats 1.1): what may be registered, what matches, and where an answer goes."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grantwell._protocol.redirects import (
    answer_url,
    check_redirect_uri,
    display_host,
    is_loopback,
    matching_redirect_uri,
)
from grantwell.config import KNOWN_PRIVATE_USE_SCHEMES
from grantwell.errors import ClientMetadataError
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement

SCHEMES = frozenset(KNOWN_PRIVATE_USE_SCHEMES)


@requirement("S-394", "S-395", "S-451", "S-405", "A-017")
@pytest.mark.parametrize(
    "uri",
    [
        "https://c1.test/cb",
        "https://c1.test",
        "https://c1.test:8443/cb",
        "https://C1.test/CB/",
        "https://xn--e1afmkfd.test/cb",
        "https://192.0.2.1/cb",
        "https://[2001:db8::1]:8443/cb",
        "https://c1.test/cb?a=1&flag&b=%2B",
        "https://c1.test/cb?",
        "https://c1.test/a..b/...;v=1/%2B",
        "https://c1.test/cb?codes=1&mystate=2&x=code",
        "http://127.0.0.1/cb",
        "http://127.0.0.1:3000/cb?x=1",
        "http://[::1]:51004/",
        "http://localhost",
        "http://localhost:8765/cb",
        "https://127.0.0.1/cb",
        "https://c1.test/" + "a" * 2_032,
        "com.example.app:/cb",
        "com.example.app:/",
        "com.example.app://callback",
        "com.example.app://callback?x=1",
        "com.example.app:///cb",
        "com.googleusercontent.apps.123-abc:/oauth2redirect",
        "cursor://anysphere.cursor-retrieval/oauth/cb",
        "grokbot://mcp/oauth/callback",
        "claude://claude.ai/mcp-auth-callback/sdk",
        "vscode://vscode.github-authentication/did-authenticate?windowId=1",
        "vscode-insiders://x/y",
    ],
)
def test_https_loopback_and_private_use_uris_are_accepted_unchanged(uri: str) -> None:
    assert check_redirect_uri(uri, SCHEMES) == uri
    assert matching_redirect_uri([uri], uri)


REFUSED: dict[str, list[object]] = {
    "A-005": [
        "https://c1.test/cb#x",
        "https://c1.test/cb#",
        "http://localhost/cb#x",
        "com.example.app:/cb#",
        "x.y://h#",
    ],
    "A-006": [
        "https://c1.test/a/../a/cb",
        "https://c1.test/a/./cb",
        "https://c1.test/a/%2e%2e/cb",
        "https://c1.test/a/..;/cb",
        *("https://c1.test/a/..%2fcb", "https://c1.test/..", "https://c1.test/a/.%2E/b", "com.example.app:/a/../cb"),
        *("com.example.app://h/a/%2e%2e/cb", "http://localhost/a/../cb", "https://c1.test/a%2F..%2Fb", "cursor://h/."),
    ],
    "A-010": [r"https://evil.test\@c1.test/cb", r"https://c1.test\.evil.test/cb", r"https:\\c1.test\cb", r"cursor:\\x"],
    "A-011": [
        " https://c1.test/cb",
        "https://c1.test/cb\t",
        "ht\ttps://c1.test/cb",
        "https://c1.test/cb\n",
        "\x00https://c1.test",
        "https://c1.test/c b",
        "https://c1.test/\r\ncb",
        "https://c1.test/\u00a0",
        "https://c1.test/\u2028",
        "https://c1.test\x00",
        *("com.example.app:/cb\n", "com.example.app:/c b", "cursor://h/\x7f", "java\nscript:alert(1)"),
    ],
    "A-012": [
        "https://\u04411.test/cb",
        "https://c1\uff0etest/cb",
        "https://example.com\uff03@bing.com/",
        "https://\u212a.test/cb",
        *("https://c1\u200d.test/cb", "https://c1.test/\u202ecb", "com.\u0435xample.app:/cb", "https://c1.test/\ud800"),
    ],
    "A-013": [
        "http://[::1/cb",
        "http://[:::::::]/cb",
        "http://localhost:99999/cb",
        "http://localhost:\uff18\uff10/cb",
        "https://",
        "http://localhost:+80/cb",
        "http://localhost: 80/cb",
        "http://%/cb",
        "https:///cb",
        "https://:443/cb",
        "https:c1.test",
        "https://c1.test:/cb",
        "https://c1.test:0/cb",
        "https://c1.test:080/cb",
        "https://c1..test/cb",
        "https://[v1.x]/cb",
        "https://c1.test./cb",
        "https://1.2.3/cb",
        "https://0x7f000001/cb",
        "https://c1.test/%zz",
        "https://c1.test/%4",
    ],
    "A-014": [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "%6aavascript:alert(1)",
        "\x01javascript:alert(1)",
        "javascript://x/%0aa",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://c1.test/x",
        "filesystem:https://c1.test/x",
        *("about:blank", "view-source:https://c1.test", "intent://x#Intent;end", "ws://c1.test/cb", "ftp://c1.test/cb"),
        "mailto:a@c1.test",
        "tel:1",
        "javascript:/x",
        "data://x",
        "chrome-extension://abc/cb",
        "urn:ietf:wg:oauth:2.0:oob",
    ],
    "A-016": ["http://c1.test/cb", "http://192.0.2.1/cb", "http://[2001:db8::1]/cb", "http://10.0.0.1:3000/cb"],
    "A-017": [
        "myapp:/cb",
        "x://cb",
        "myapp://cb",
        "COM.example.app:/cb",
        "com.example.app:cb",
        "com.example.app:",
        ".app:/cb",
        "com..app:/cb",
        "com.app.:/cb",
        "1com.app:/cb",
        "com.a_b:/cb",
        "Cursor://x/cb",
        "cursorx://x/cb",
        "com.example.app://user@h/cb",
        "com.example.app://h:0/cb",
        "cursor:?x",
        "a.b:/[x]",
    ],
    "A-018": [
        "*",
        "https://*.c1.test/cb",
        "https://c1.test/*",
        "http://localhost:*/cb",
        "https://c1.test/cb?x=*",
        "a.b:/*",
    ],
    "A-021": [
        "http://evil@127.0.0.1:9/cb",
        "http://127.0.0.1:9/cb#x=1",
        "https://u:p@c1.test/cb",
        "https://@c1.test/cb",
    ],
    "A-022": [
        "http://127.1/cb",
        "http://0x7f000001/cb",
        "http://2130706433/cb",
        "http://0177.0.0.1/cb",
        "http://127.0.0.1./cb",
        *("http://\u2460\u2461\u2466.0.0.1/cb", "http://localhost./cb", "HTTP://127.0.0.1/cb", "http://LOCALHOST/cb"),
        *("http://[0:0:0:0:0:0:0:1]/cb", "http://[::ffff:127.0.0.1]/cb", "http://127.0.0.2/cb", "http://0.0.0.0/cb"),
        *("HTTPS://c1.test/cb", "Https://c1.test/cb"),
    ],
    "A-023": [
        *("http://localhost.evil.test/cb", "http://127.0.0.1.evil.test/cb", "http://localhost:80@evil.test/cb"),
        *("http://notlocalhost/cb", "http://app.localhost/cb", "http://127.0.0.1.nip.io/cb"),
    ],
    "A-024": [
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:00080/cb",
    ],
    "A-027": [
        None,
        1,
        True,
        1.5,
        {},
        [],
        ["https://c1.test/cb"],
        b"https://c1.test/cb",
        "",
        "https://c1.test/" + "a" * 2_033,
        "https://c1.test/" + "a" * 65_536,
        "/cb",
        "cb",
        "//c1.test/cb",
        "c1.test/cb",
        "https",
        "https:",
        ":",
        "https:/c1.test/cb",
        "a.b:/" + "a" * 2_048,
    ],
    "A-028": [
        "https://c1.test/cb?code=x",
        "https://c1.test/cb?state=x",
        "https://c1.test/cb?iss=https://evil",
        "x.y:/cb?code=x",
        "https://c1.test/cb?a=1&error=x",
        "https://c1.test/cb?access_token=x",
        "https://c1.test/cb?code",
        "a.b://h?state",
        "https://c1.test/cb?c%6fde=x",
        "https://c1.test/cb?a=1;state=x",
        "https://c1.test/cb?Code=x",
        "http://localhost/?iss=",
        *("https://c1.test/cb?error_description=x", "https://c1.test/cb?id_token=x", "https://c1.test/cb?response=x"),
    ],
}


@requirement(*REFUSED, "S-394", "S-395", "S-449", "S-450", "S-452", "S-174", "S-180", "S-136", "C-086", "C-062")
@pytest.mark.parametrize(
    "uri", [pytest.param(uri, id=f"{rule}-{i}") for rule, uris in REFUSED.items() for i, uri in enumerate(uris)]
)
def test_every_other_uri_is_an_invalid_redirect_uri(uri: object) -> None:
    with pytest.raises(ClientMetadataError) as caught:
        check_redirect_uri(uri, SCHEMES)
    assert (caught.value.code, caught.value.status) == ("invalid_redirect_uri", 400)


@requirement("A-017", "S-452")
def test_an_undotted_scheme_is_accepted_only_where_it_is_listed() -> None:
    assert check_redirect_uri("myapp:/cb", frozenset({"myapp"})) == "myapp:/cb"
    with pytest.raises(ClientMetadataError):
        check_redirect_uri("cursor://x/cb", frozenset())
    with pytest.raises(ClientMetadataError):
        check_redirect_uri("http://c1.test/cb", frozenset({"http"}))


@requirement("S-136", "S-444", "A-001", "A-003", "A-004", "A-005", "A-007", "A-008")
@pytest.mark.parametrize(
    "presented",
    [
        *("https://evil.test/cb", "", "/cb", "https://c1.test", "https://c1.test/"),
        "https://c1.test/cb/",
        "https://c1.test/CB",
        "https://c1.test/cb/x",
        "https://c1.test/cb;p",
        "https://c1.test/cb.",
        *("https://c1.test//cb", "https://c1.test/c%62", "https://c1.test/%63b", "https://c1.test%2Fcb"),
        "https://c1.test/cb?",
        "https://c1.test/cb?x=1",
        "https://c1.test/cb#",
        "https://c1.test/cb#x",
        "https://c1.test/cb%23x",
        "HTTPS://c1.test/cb",
        "https://C1.TEST/cb",
        "https://c1.test:443/cb",
        "https://c1.test:/cb",
        "http://c1.test/cb",
        "https://u@c1.test/cb",
        "https://c1.test:8443/cb",
        "https://sub.c1.test/cb",
        " https://c1.test/cb",
        "https://c1.test/cb\n",
    ],
)
def test_a_uri_that_differs_in_one_byte_does_not_match(presented: str) -> None:
    assert not matching_redirect_uri(["https://c1.test/cb"], presented)


@requirement("A-004", "A-007")
def test_query_and_escapes_are_compared_as_they_are_written() -> None:
    registered = ["https://c1.test/cb?tenant=1", "https://c1.test/%e2"]
    for presented in ("?tenant=2", "?tenant=1&tenant=2", "?tenant=1&x", "?tenant=%31", ""):
        assert not matching_redirect_uri(registered, "https://c1.test/cb" + presented)
    assert not matching_redirect_uri(registered, "https://c1.test/%E2")
    assert matching_redirect_uri(registered, "https://c1.test/%e2")


@requirement("S-445", "S-446", "S-447")
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
@pytest.mark.parametrize("port", ["", ":1", ":80", ":3000", ":51004", ":65535"])
def test_any_port_matches_on_loopback(host: str, port: str) -> None:
    for registered in (f"http://{host}/cb", f"http://{host}:3000/cb"):
        assert matching_redirect_uri(["https://c1.test/cb", registered], f"http://{host}{port}/cb")
        assert is_loopback(registered)


@requirement("S-448", "A-020", "A-021", "A-022", "A-023", "A-024", "C-088", "C-089")
@pytest.mark.parametrize(
    "presented",
    [
        *("https://127.0.0.1:9/cb", "http://127.0.0.1:9/cb/", "http://127.0.0.1:9/cb?x", "http://127.0.0.1:9/cb?"),
        "http://127.0.0.2:9/cb",
        "http://localhost:9/cb",
        "http://[::1]:9/cb",
        "http://127.0.0.1:9/CB",
        "http://127.0.0.1:9",
        "http://evil@127.0.0.1:9/cb",
        "http://127.0.0.1:9/cb#x=1",
        "http://127.0.0.1:9/cb#",
        "http://127.0.0.1:9@evil.test/cb",
        "http://127.1:9/cb",
        "http://0x7f000001/cb",
        "http://2130706433/cb",
        "http://0177.0.0.1/cb",
        "http://127.0.0.1.:9/cb",
        "http://\u2460\u2461\u2466.0.0.1/cb",
        "HTTP://127.0.0.1:9/cb",
        "http://127.0.0.1:9/a/%2e%2e/cb",
        "http://127.0.0.1:9/%63b",
        "http://127.0.0.1.evil.test/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:/cb",
        *("http://127.0.0.1:00080/cb", "http://127.0.0.1:\uff18\uff10/cb", "http://127.0.0.1:+80/cb", "http://[::1/cb"),
        *("com.example.app:/cb", "javascript:alert(1)", "", "\ud800"),
    ],
)
def test_the_port_is_all_that_may_differ_on_loopback(presented: str) -> None:
    assert not matching_redirect_uri(["http://127.0.0.1/cb", "http://127.0.0.1:3000/cb"], presented)


@requirement("A-020", "S-447", "C-088")
@pytest.mark.parametrize(
    "presented", ["http://127.0.0.1:9/cb", "http://localhost.evil.test/cb", "http://LOCALHOST:9/cb"]
)
def test_localhost_is_not_its_address_nor_a_look_alike(presented: str) -> None:
    assert not matching_redirect_uri(["http://localhost/cb"], presented)


@requirement("S-448", "A-015")
def test_a_damaged_registration_gets_no_port_flexibility() -> None:
    assert not matching_redirect_uri(
        ["http://c1.test/cb", "http://127.0.0.1/cb#x", "https://127.0.0.1/cb"], "http://127.0.0.1/cb"
    )
    assert not matching_redirect_uri([], "http://127.0.0.1/cb")


@requirement("A-026")
def test_one_string_is_not_a_list_of_uris() -> None:
    assert not matching_redirect_uri("https://c1.test/callback", "https://c1.test/")


@pytest.mark.parametrize(
    "uri",
    ["https://localhost/cb", "http://c1.test/cb", "http://127.0.0.2/cb", "http://localhost/#", "com.a:/cb", "", "x"],
)
def test_nothing_else_is_loopback(uri: str) -> None:
    assert not is_loopback(uri)


@requirement("A-101", "A-017")
@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://c1.test/cb", "c1.test"),
        ("https://c1.test:8443/cb?x", "c1.test:8443"),
        ("http://[::1]:9/cb", "[::1]:9"),
        ("http://localhost", "localhost"),
        ("com.example.app:/cb", "com.example.app"),
        ("cursor://anysphere.cursor-retrieval/oauth/cb", "cursor"),
    ],
)
def test_a_person_is_shown_where_the_answer_goes(uri: str, shown: str) -> None:
    assert display_host(uri) == shown


@requirement("A-029", "S-171", "S-172", "S-174", "S-451")
@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("https://c1.test/cb", "https://c1.test/cb?code=a%2Bb&state=%20%C2%A3%0D%0A"),
        ("https://c1.test/cb?a=1&flag&b=%2B", "https://c1.test/cb?a=1&flag&b=%2B&code=a%2Bb&state=%20%C2%A3%0D%0A"),
        ("https://c1.test/cb?", "https://c1.test/cb?code=a%2Bb&state=%20%C2%A3%0D%0A"),
        ("https://c1.test/cb?x&", "https://c1.test/cb?x&code=a%2Bb&state=%20%C2%A3%0D%0A"),
        ("com.example.app:/cb", "com.example.app:/cb?code=a%2Bb&state=%20%C2%A3%0D%0A"),
    ],
)
def test_an_answer_is_the_registered_bytes_and_then_the_parameters(uri: str, url: str) -> None:
    assert answer_url(uri, {"code": "a+b", "state": " £\r\n"}) == url


PATH = st.text("abc/%7E.~;=&+", max_size=12).filter(lambda text: "%" not in text.replace("%7E", ""))
URIS = st.builds(
    "{}{}{}".format, st.sampled_from(["https://c1.test", "http://localhost:9"]), PATH.map("/{}".format), st.just("")
)
VALUES = st.text(st.characters(exclude_categories=["Cs"]))


@requirement("A-029", "A-030", "S-172")
@given(st.one_of(URIS, st.sampled_from(["https://c1.test/?x", "a.b://h?y=1", "https://c1.test?"])), VALUES, VALUES)
def test_an_answer_begins_with_the_registered_bytes_and_gives_each_value_back(uri: str, state: str, iss: str) -> None:
    url = answer_url(uri, {"state": state, "iss": iss})
    assert url.startswith(uri)
    assert url.isascii()
    assert url.isprintable()
    assert parse_qsl(url.partition("?")[2], keep_blank_values=True)[-2:] == [("state", state), ("iss", iss)]


HOSTILE = st.lists(
    st.sampled_from(
        ["https:", "http:", "//", "/", "127.0.0.1", "localhost", "[::1]", ":9", "@", "#", "?", "..", "%2e", "\\", "*"]
    )
    | st.sampled_from(
        ["com.example.app:", "javascript:", "cursor:", "c1.test", "code=", "&", ";", " ", "\n", "é", "\ud800"]
    ),
    max_size=8,
).map("".join)


@requirement("S-022", "A-013")
@given(st.one_of(st.text(), HOSTILE))
@settings(max_examples=300)
def test_any_text_is_accepted_or_refused_with_the_documented_error(uri: str) -> None:
    assert isinstance(display_host(uri), str)
    assert matching_redirect_uri([uri], uri)
    accepted, error = attempt(ClientMetadataError, lambda: check_redirect_uri(uri, SCHEMES))
    assert error is None or error.code == "invalid_redirect_uri"
    if accepted is not None:
        assert accepted == uri
        assert uri.isascii()
        assert uri.isprintable()
        assert not set(" \\#*@") & set(uri.partition("?")[0])
        assert ".." not in unquote(uri.partition("?")[0]).split("/")
        assert uri.startswith(("https://", "com.example.app:/", "cursor:/")) or is_loopback(uri)
