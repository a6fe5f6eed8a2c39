"""What a sender of random requests remembers of the answers: clients, tokens, forms, cookies."""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fuzz.pages import forms
from fuzz.server import REDIRECT, RESOURCES, USER
from fuzz.wire import Answer

_KINDS = {
    "gwa": "AccessToken",
    "gwr": "RefreshToken",
    "gwc": "Code",
    "gws": "ClientSecret",
    "gwm": "RegistrationAccessToken",
}
_OURS = re.compile(r"(gw[arcsm])_[A-Za-z0-9_-]+")
_MANY = 200
_HOT_ADDRESSES = ("203.0.113.1", "203.0.113.2", "2001:db8::1")


class Memory:
    """Values by their kind, which is the name of a schema of the description, or of a field."""

    def __init__(self, random: Random, clients: list[dict[str, Any]], names: list[str]) -> None:
        self.random = random
        self.clients = deque(clients, maxlen=_MANY)
        self.operators_clients = clients
        self.names = names
        self.values: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_MANY))
        for client in clients:
            self.values["ClientId"].append(client["client_id"])
            if client["client_secret"]:
                self.values["ClientSecret"].append(client["client_secret"])
        self.values["ClientId"].extend(
            ("https://127.0.0.1/client", "https://[::1]/client?x", "https://10.0.0.1:8443/c")
        )
        self.values["Resource"].extend((*RESOURCES, "https://as.test", "HTTPS://AS.test/api", "https://evil.test/"))
        self.values["Scope"].extend(("read", "write", "read write", "offline_access", "admin", "read read"))
        self.values["redirect_uri"].extend((REDIRECT, "http://127.0.0.1:5000/cb", "com.example.app:/cb", "x:/y"))
        self.values["username"].extend((USER, "eve"))
        self.values["resource_path"].extend(("api", "other", "x", "api/", "mcp/x"))
        self.values["token_type_hint"].extend(("access_token", "refresh_token", "x"))

    def note(self, answer: Answer) -> None:
        """Remember what an answer gave away."""
        text = answer.body.decode("utf-8", "replace")
        for place in (text, answer.header("location") or ""):
            for found in _OURS.finditer(place):
                self.values[_KINDS[found[1]]].append(found[0])
        if "<form" in text:
            for name, value in (field for _, fields in forms(text) for field in fields):
                self.values[name].append(value)
        for name, value in parse_qsl(urlsplit(answer.header("location") or "").query):
            self.values[name].append(value)
        cookie = (answer.header("set-cookie") or "").partition(";")[0]
        if cookie:
            self.values["Cookie"].append(cookie)

    def note_client(self, answer: Answer) -> dict[str, Any] | None:
        """Remember a client that was registered; None if none was."""
        if answer.status != 201:
            return None
        client: dict[str, Any] = json.loads(answer.body)
        self.clients.append(client)
        self.values["ClientId"].append(client["client_id"])
        return client

    def some(self, kind: str) -> str | None:
        """A value of a kind, newer ones more often; None if there is none yet."""
        values = self.values.get(kind)
        if not values:
            return None
        return values[-1] if self.random.random() < 0.4 else self.random.choice(values)

    def any_value(self) -> str:
        """A value of any kind."""
        return self.some(self.random.choice([*self.values])) or "x"

    def any_name(self) -> str:
        """A name that means something somewhere, or nothing anywhere."""
        return self.random.choice(
            [*self.names, "request", "request_uri", "x", "__proto__", "code[]", "nonce", "max_age"]
        )

    def address(self) -> str:
        """Where a request comes from: mostly from somebody new."""
        if self.random.random() < 0.3:
            return self.random.choice(_HOT_ADDRESSES)
        return f"10.{self.random.randrange(256)}.{self.random.randrange(256)}.{self.random.randrange(1, 255)}"
