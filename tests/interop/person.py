"""A person with a browser: follows redirects, signs in, and answers the consent page, by its forms alone."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

# The example of RFC 7636, appendix B; the start page of the demonstration has it too.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()

MOST_STEPS = 10


class _Forms(HTMLParser):
    """The forms of a page: where each goes, and its fields, buttons among them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, list[dict[str, str]]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((attributes.get("action", ""), []))
        elif tag in ("input", "button") and self.forms:
            self.forms[-1][1].append(attributes | {"tag": tag})


class Person:
    """Somebody with a name, a password and a browser, who allows what is asked unless told otherwise."""

    def __init__(self, name: str, password: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.name = name
        self.password = password
        self.pages: list[str] = []
        self.opened: list[str] = []
        self._browser = httpx.AsyncClient(timeout=20, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._browser.aclose()

    async def answer(self, url: str, redirect_uri: str, decision: str = "allow") -> str:
        """Open an authorization URL, do what the pages ask, and return the URL that the client gets."""
        self.opened.append(url)
        answer = await self._browser.get(url)
        for _ in range(MOST_STEPS):
            if answer.is_redirect:
                location = urljoin(str(answer.url), answer.headers["location"])
                if location.partition("?")[0] == redirect_uri:
                    return location
                answer = await self._browser.get(location)
                continue
            self.pages.append(answer.text)
            assert answer.status_code == 200, answer.text
            action, fields = self._filled(answer.text, decision)
            answer = await self._browser.post(urljoin(str(answer.url), action), data=fields)
        raise AssertionError(f"no way back to {redirect_uri}: {self.pages[-1]}")

    def _filled(self, page: str, decision: str) -> tuple[str, dict[str, str | list[str]]]:
        action, inputs = _Forms(page).forms[0]
        ticked = [field["value"] for field in inputs if field.get("type") == "checkbox" and "checked" in field]
        fields: dict[str, str | list[str]] = {"scope": ticked} if ticked else {}
        for field in inputs:
            name = field.get("name", "")
            if field["tag"] == "button":
                if name and field.get("value") == decision:
                    fields[name] = decision
            elif field.get("type") == "checkbox":
                continue
            elif field.get("type") == "password":
                fields[name] = self.password
            elif field.get("autocomplete") == "username":
                fields[name] = self.name
            else:
                fields[name] = field.get("value", "")
        return action, fields


def parameters_of(url: str) -> dict[str, str]:
    """The parameters of an answer's URL, each of which is there once."""
    parameters = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in parameters.values()), parameters
    return {name: values[0] for name, values in parameters.items()}
