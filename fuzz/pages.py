"""The forms of a page, as a browser would send them."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

Form = tuple[str, list[tuple[str, str]]]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((urlsplit(attributes.get("action", "")).path, []))
        elif tag == "input" and self.forms and attributes.get("type") == "hidden":
            self.forms[-1][1].append((attributes.get("name", ""), attributes.get("value", "")))


def forms(html: str) -> list[Form]:
    """Each form with the path it goes to and its hidden fields."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.forms
