"""Browsers in words: what the common ones send is recognised, and what nobody knows is shown as it is, cut short."""

from __future__ import annotations

import pytest

from grantwell.signin.user_agents import MOST_CHARACTERS, Browser, browser_of

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.requirement("G-543", "G-545")
@pytest.mark.parametrize(
    ("user_agent", "browser", "system"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", "Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", "Windows"),
        ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox", "Android"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "FxiOS/140.0 Mobile/15E148 Safari/605.1.15",
            "Firefox",
            "iPhone",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
            "Safari/605.1.15",
            "Safari",
            "macOS",
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.7 "
            "Mobile/15E148 Safari/604.1",
            "Safari",
            "iPad",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "CriOS/138.0.0.0 Mobile/15E148 Safari/604.1",
            "Chrome",
            "iPhone",
        ),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36", "Chrome", "Windows"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/138.0.0.0 Mobile Safari/537.36", "Chrome", "Android"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36", "Chrome", "ChromeOS"),
        (
            f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/138.0.0.0 Safari/537.36",
            "Headless Chrome",
            "Linux",
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
            "Edge",
            "Windows",
        ),
        (
            f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36 OPR/120.0.0.0",
            "Opera",
            "macOS",
        ),
        (
            f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            "Samsung Internet",
            "Android",
        ),
        (f"Mozilla/5.0 (X11; FreeBSD amd64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36", "Chrome", "FreeBSD"),
        ("curl/8.14.1", "curl/8.14.1", None),
        ("Claude-User/1.0", "Claude-User/1.0", None),
        ("Linux", "Linux", None),
        ("x" * 300, "x" * MOST_CHARACTERS, None),
        ("  a\x00\x1b[31m\u202eb\n ", "a[31mb", None),
        ("<script>alert(1)</script>", "<script>alert(1)</script>", None),
    ],
)
def test_a_browser_is_called_as_people_call_it(user_agent: str, browser: str, system: str | None) -> None:
    assert browser_of(user_agent) == Browser(browser, system)


@pytest.mark.parametrize("nothing", [None, "", "   ", "\x00\n"])
def test_no_words_are_no_browser(nothing: str | None) -> None:
    assert browser_of(nothing) is None
