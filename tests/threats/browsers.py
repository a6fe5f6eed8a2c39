"""A browser on a socket: it comes from a client, signs in, and answers, and keeps its cookie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tests.signin.browser import PASSWORD, USER
from tests.threats.arena import Arena, session_cookie
from tests.threats.exchanges import Answer
from tests.wire.world import R1, Pkce


class Visitor:
    """One browser, at the address that a proxy names where one is trusted."""

    def __init__(self, arena: Arena, address: str = "") -> None:
        self.arena = arena
        self.pkce = Pkce()
        self.cookie = ""
        self._lines = [f"X-Forwarded-For: {address}"] if address else []
        arena.canaries.note("verifier", self.pkce.verifier)

    async def get(self, target: str) -> Answer:
        """Open a page; redirects are not followed."""
        return self._kept(await self.arena.ask("GET", target, *self._headers()))

    async def post(self, target: str, form: Mapping[str, Any]) -> Answer:
        """Send a form."""
        return self._kept(await self.arena.ask("POST", target, *self._headers(), form=form))

    def _headers(self) -> list[str]:
        return [*self._lines, *([f"Cookie: {self.cookie}"] if self.cookie else [])]

    def _kept(self, answer: Answer) -> Answer:
        if answer.all("set-cookie"):
            self.cookie = session_cookie(answer)
        return answer

    def request(self, client: Mapping[str, Any], **changes: Any) -> str:
        """The target of a valid authorization request, changed as written (None removes a parameter)."""
        parameters: dict[str, Any] = {
            "response_type": "code",
            "client_id": client["client_id"],
            "redirect_uri": client["redirect_uris"][0],
            "code_challenge": self.pkce.challenge,
            "code_challenge_method": "S256",
            "state": "st4te",
            "scope": "read",
            "resource": R1,
        } | changes
        kept = {name: value for name, value in parameters.items() if value is not None}
        return f"/authorize?{urlencode(kept, doseq=True)}"

    async def sign_in(self, page: Answer | None = None, *, username: str = USER, password: str = PASSWORD) -> Answer:
        """Fill in the form on a page, or on `/signin`."""
        form = dict((page or await self.get("/signin")).page.forms)["/signin"]
        return await self.post("/signin", form | {"username": username, "password": password})

    async def asked(self, client: Mapping[str, Any], **changes: Any) -> Answer:
        """Come from a client, sign in if that is needed, and stop before the question."""
        answer = await self.get(self.request(client, **changes))
        page = await self.get(answer.get("location") or "")
        if "/signin" in dict(page.page.forms):
            page = await self.get((await self.sign_in(page)).get("location") or "")
        assert page.status == 200, page.raw
        return page

    async def answer(self, page: Answer, decision: str = "allow", **changes: Any) -> Answer:
        """Press a button of the consent page."""
        return await self.post("/consent", dict(page.page.forms)["/consent"] | {"decision": decision} | changes)

    async def client(self, **changes: Any) -> dict[str, Any]:
        """A client that the operator registered."""
        metadata = {"redirect_uris": ["https://c1.test/cb"], "token_endpoint_auth_method": "none"} | changes
        made, secret = await self.arena.place.world.provider.helpers.create_client(metadata)
        return {"client_id": made.client_id, "redirect_uris": list(made.redirect_uris), "client_secret": secret}
