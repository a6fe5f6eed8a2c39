"""A browser in words, from what it says of itself in `User-Agent` (RFC 9110 section 10.1.5): shown, never believed."""

from __future__ import annotations

from dataclasses import dataclass

MOST_CHARACTERS = 80

# In this order, because most browsers name those that they want to be taken for as well.
_BROWSERS = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("YaBrowser/", "Yandex"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class Browser:
    """What is shown of a browser: its name and the system that it runs on, None for a system that is not known."""

    name: str
    system: str | None


def browser_of(user_agent: str | None) -> Browser | None:
    """The browser of a `User-Agent`; for one that is not known, its own words, cut short; None for no words at all."""
    if user_agent is None:
        return None
    name = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    if name is not None and system is not None:
        return Browser(name, system)
    words = "".join(character for character in user_agent if character.isprintable()).strip(" ")[:MOST_CHARACTERS]
    return Browser(words, None) if words else None


def _first(known: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for mark, name in known if mark in user_agent), None)
