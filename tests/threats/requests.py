"""A request of the catalogue, put into bytes: a valid one of its kind, changed as the case says and no further.

Members of a case, all optional but `to`:

- `to`: authorize, token, refresh, revoke, register, api, consent or signin for a valid request of that kind; plain for
  one with nothing but `method`, `path` and what else is given; wire for the bytes in `wire`.
- `client`: by whom; a name of `actors.py`. `auth = false` leaves out what it proves itself with.
- `set`: parameters (members for register) with other values; a list sends one several times. `drop` leaves some out.
- `raw`: parameters whose text is sent as it is written. `add`: such text behind all. `body`: instead of all.
- `in_url`: parameters of a POST that are put into its query; ["*"] for all.
- `method`, `path`, `query`, `headers`, `host`, `content_type`, `length`: instead of what a proper client would send; an
  empty one is left out, and one that is raw is one character a byte.
- `browser = "signed in"`: with the cookie of a browser in which somebody has signed in; consent has it unless said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from tests.threats.exchanges import Request
from tests.threats.hands import Hand, authentication

_FORM = "application/x-www-form-urlencoded"
_PATHS = {
    "authorize": "/authorize",
    "token": "/token",
    "refresh": "/token",
    "revoke": "/revoke",
    "register": "/register",
    "api": "/api",
    "consent": "/consent",
    "signin": "/signin",
}
_IN_QUERY = ("authorize", "api", "plain")

_VALID: Mapping[str, Mapping[str, str]] = {
    "authorize": {
        "response_type": "code",
        "client_id": "«client»",
        "redirect_uri": "«redirect»",
        "code_challenge": "«challenge»",
        "code_challenge_method": "S256",
        "state": "st4te",
        "scope": "read",
        "resource": "https://as.test/api",
    },
    "token": {
        "grant_type": "authorization_code",
        "code": "«code»",
        "code_verifier": "«verifier»",
        "redirect_uri": "«redirect»",
    },
    "refresh": {"grant_type": "refresh_token", "refresh_token": "«refresh»"},
    "revoke": {"token": "«refresh»"},
    "consent": {"i": "«interaction»", "csrf": "«csrf»", "decision": "allow"},
    "signin": {},
    "api": {},
    "plain": {},
}
_METADATA = {
    "redirect_uris": ["https://c1.test/cb"],
    "token_endpoint_auth_method": "none",
    "client_name": "A client",
}


async def request_of(case: Mapping[str, Any], hand: Hand) -> Request:
    """The bytes of a case's request."""
    builder = _Builder(case, hand)
    if case["to"] == "wire":
        wire = (await hand.fill(case["wire"])).encode("latin-1")
        method, _, target = wire.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        return builder.request(wire, method, target.partition(" ")[0].partition("?")[0])
    if case["to"] == "register":
        body = await builder.json_body()
    else:
        await builder.add_parameters()
        body = await builder.form_body()
    return builder.request(*await builder.wire(body))


class _Builder:
    def __init__(self, case: Mapping[str, Any], hand: Hand) -> None:
        self._case = case
        self._hand = hand
        self._kind: str = case["to"]
        self._method: str = case.get("method", "GET" if self._kind in _IN_QUERY else "POST")
        self._pairs: list[tuple[str, str]] = []
        self._lines: list[str] = []
        self._parameters: dict[str, str] = {}
        self._suspicious: list[str] = []

    def request(self, wire: bytes, method: str, path: str) -> Request:
        return Request(
            wire=wire,
            method=method,
            path=path,
            parameters=self._parameters,
            redirect_uri=self._parameters.get("redirect_uri") or self._hand.redirect_uri,
            tried_basic=any(line.lower().startswith("authorization: basic") for line in self._lines),
            suspicious=tuple(self._suspicious),
        )

    async def add_parameters(self) -> None:
        case, hand = self._case, self._hand
        client = await hand.client()
        wanted: dict[str, Any] = dict(_VALID[self._kind])
        if self._kind in ("token", "refresh", "revoke") and case.get("auth", True):
            lines, credentials = authentication(client)
            wanted |= credentials
            self._lines += lines
        if self._kind == "api" and case.get("auth", True):
            self._lines.append(await hand.fill("Authorization: Bearer «access»"))
        wanted |= case.get("set", {})
        for name, values in wanted.items():
            if name in case.get("drop", ()) or name in case.get("raw", {}):
                continue
            for value in values if isinstance(values, list) else [values]:
                text = value.replace("«client»", client["client_id"]).replace("«redirect»", hand.redirect_uri)
                filled = await hand.fill(text)
                if name in case.get("set", {}):
                    self._suspect(filled)
                self._parameters.setdefault(name, filled)
                self._pairs.append((await hand.fill(name), quote_plus(filled)))
        for name, value in case.get("raw", {}).items():
            self._pairs.append((name, await hand.fill(value)))

    def _suspect(self, value: str) -> None:
        """Note what no answer may repeat, unless it is a word that an answer may well use."""
        if len(value) >= 24 or set(value) & set("<>\"'\\{}%&"):
            self._suspicious.append(value)

    async def form_body(self) -> bytes:
        """The parameters that are not in the query, as a body."""
        case = self._case
        in_url = case.get("in_url", ["*"] if self._kind in _IN_QUERY and self._method == "GET" else [])
        here = [pair for pair in self._pairs if "*" not in in_url and pair[0] not in in_url]
        text = "&".join(f"{name}={value}" for name, value in here)
        if "add" in case and "*" not in in_url:
            text = "&".join(filter(None, (text, await self._hand.fill(case["add"]))))
        if "body" in case:
            text = await self._hand.fill(case["body"])
        return text.encode("latin-1")

    async def _query(self) -> str:
        case = self._case
        if "query" in case:
            return await self._hand.fill(case["query"])
        in_url = case.get("in_url", ["*"] if self._kind in _IN_QUERY and self._method == "GET" else [])
        there = [pair for pair in self._pairs if "*" in in_url or pair[0] in in_url]
        text = "&".join(f"{name}={value}" for name, value in there)
        if "add" in case and "*" in in_url:
            text = "&".join(filter(None, (text, await self._hand.fill(case["add"]))))
        return text

    async def json_body(self) -> bytes:
        """A registration."""
        case = self._case
        if "body" in case:
            return (await self._hand.fill(case["body"])).encode("latin-1")
        document = {**_METADATA, **case.get("set", {})}
        document = {name: value for name, value in document.items() if name not in case.get("drop", ())}
        for value in case.get("set", {}).values():
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str):
                    self._suspect(await self._hand.fill(text))
        filled = await self._filled(document)
        return json.dumps(filled, ensure_ascii=False).encode()

    async def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return await self._hand.fill(value)
        if isinstance(value, list):
            return [await self._filled(item) for item in value]
        if isinstance(value, dict):
            return {await self._hand.fill(name): await self._filled(member) for name, member in value.items()}
        return value

    async def wire(self, body: bytes) -> tuple[bytes, str, str]:
        """The whole request, its method and its path."""
        case, hand = self._case, self._hand
        path = await hand.fill(case.get("path", _PATHS.get(self._kind, "/")))
        query = await self._query() if self._kind != "register" or "query" in case else ""
        given = [await hand.fill(line) for line in case.get("headers", ())]
        names = {line.partition(":")[0].lower() for line in given}
        lines = [line for line in self._lines if line.partition(":")[0].lower() not in names]
        kind = case.get("content_type", "application/json" if self._kind == "register" else _FORM)
        if (body or self._method == "POST") and kind and "content-type" not in names:
            lines.append(f"Content-Type: {await hand.fill(kind)}")
        length = case.get("length", str(len(body)) if body or self._method == "POST" else "")
        if length and "content-length" not in names and "transfer-encoding" not in names:
            lines.append(f"Content-Length: {await hand.fill(length)}")
        if case.get("browser", "signed in" if self._kind == "consent" else "") == "signed in":
            lines.append(f"Cookie: {await hand.cookie()}")
        if (host := case.get("host", "as.test")) and "host" not in names:
            lines.insert(0, f"Host: {host}")
        self._lines = lines + given
        head = "\r\n".join([f"{self._method} {path}{'?' * bool(query)}{query} HTTP/1.1", *self._lines, "", ""])
        return head.encode("latin-1") + body, self._method, path
