"""Before the drill: which clients the server knows, and that it refuses a made-up credential of each kind.

Where a made-up one is not refused, an answer tells nothing, and a drill could not fail.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlencode

from ..._protocol import tokens
from . import kinds
from .exchange import WORKERS, Exchange, Request
from .kinds import Kind
from .server import NoServer, Server, target_of
from .spellings import forged

_MOST_CLIENTS_ASKED = 20
# What an error page shows is another one each time.
_REFERENCE = re.compile(rb"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownClients:
    """Clients that can ask for tokens by their id alone, and the others."""

    public: tuple[str, ...]
    confidential: tuple[str, ...]

    def of(self, kind: Kind) -> tuple[str, ...]:
        """Those that a text is presented with as this kind; one without a name where it takes none."""
        match kind.clients:
            case "public":
                return self.public
            case "confidential":
                return self.confidential
            case "any":
                return self.public + self.confidential
        return ("",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The kinds that can be tried, and sentences on what cannot."""

    kinds: tuple[Kind, ...]
    not_tried: tuple[str, ...]


def known_clients(server: Server, client_ids: Sequence[str]) -> KnownClients:
    """Ask the server about each client; several at once, for it may have to fetch their metadata. Raises Unanswered."""

    def some_public(some: Sequence[str]) -> set[str]:
        with closing(Exchange(server.issuer)) as exchange:
            return {c for c in some if kinds.is_public(exchange.send(kinds.client_alone(server, c)))}

    with ThreadPoolExecutor(WORKERS) as pool:
        public = set().union(*pool.map(some_public, (client_ids[i::WORKERS] for i in range(WORKERS))))
    return KnownClients(
        public=tuple(client for client in client_ids if client in public),
        confidential=tuple(client for client in client_ids if client not in public),
    )


def judged_kinds(exchange: Exchange, server: Server, clients: KnownClients, verifiers: Sequence[str]) -> Judged:
    """The kinds that this server refuses when they are made up. Raises NoServer where it accepts one; Unanswered."""
    if kinds.is_public(exchange.send(kinds.client_alone(server, secrets.token_hex(16)))):
        raise NoServer(f"{server.issuer} takes any client_id for one it knows, so nothing can be told.")
    if not _knows_any(exchange, server, clients):
        raise NoServer(f"{server.issuer} knows no client of this database; is it the database of another server?")
    can: list[Kind] = []
    cannot = [f"anything at {url}: it is at another origin" for url in server.elsewhere]
    for resource in server.resources:
        kind = kinds.access_token(resource)
        if _is_refused(exchange, kind, ""):
            can.append(kind)
        else:
            cannot.append(f"an access token at {resource}: a made-up one is not refused there")
    if not can:
        raise NoServer(f"No protected resource of {server.issuer} refuses a made-up token, so nothing can be told.")
    for kind in _at_the_token_endpoint(server, verifiers):
        known = clients.of(kind)
        if not known:
            cannot.append(f"{kind.name}: the server knows no {kind.clients} client of this database")
        elif _is_refused(exchange, kind, known[0]):
            can.append(kind)
        else:
            raise NoServer(f"{server.issuer} does not refuse a made-up {kind.name}, so nothing can be told.")
    for kind in _optional(server):
        known = clients.of(kind)
        if known and exchange.send(kind.make(_made_up(kind), known[0])).status == 401:
            can.append(kind)
        else:
            cannot.append(f"{kind.name}: the server asks for none")
    cookie = _session_cookie(exchange, server)
    if cookie is None:
        cannot.append(f"session cookie: there is no sign-in page of Grantwell at {server.signin_page}")
    else:
        can.append(cookie)
    return Judged(kinds=tuple(can), not_tried=tuple(dict.fromkeys(cannot)))


def _knows_any(exchange: Exchange, server: Server, clients: KnownClients) -> bool:
    """Whether this is the database of this server, as far as its answers tell."""
    endpoint = server.authorization_endpoint
    if clients.public or not clients.confidential or endpoint is None:
        return True

    def shown_to(client: str) -> tuple[int, bytes]:
        query = urlencode({"client_id": client})
        answer = exchange.send(Request(method="GET", target=f"{target_of(endpoint)}?{query}"))
        return answer.status, _REFERENCE.sub(b"", answer.body.replace(client.encode(), b""))

    # Too little for a redirect, but enough for other words to a client that is known.
    stranger = shown_to(secrets.token_hex(16))
    return any(shown_to(client) != stranger for client in clients.confidential[:_MOST_CLIENTS_ASKED])


def _is_refused(exchange: Exchange, kind: Kind, client: str) -> bool:
    return kind.verdict(exchange.send(kind.make(_made_up(kind), client))) in ("refused", "throttled")


def _at_the_token_endpoint(server: Server, verifiers: Sequence[str]) -> Iterator[Kind]:
    yield kinds.refresh_token(server)
    yield kinds.authorization_code(server)
    yield from (kinds.authorization_code(server, verifier) for verifier in verifiers)
    yield from kinds.client_credentials(server)


def _optional(server: Server) -> Iterator[Kind]:
    if server.introspection_endpoint is not None:
        yield kinds.introspection_token(server.introspection_endpoint)
    if server.registration_endpoint is not None:
        yield kinds.initial_access_token(server.registration_endpoint)
        yield kinds.registration_access_token(server.registration_endpoint)


def _session_cookie(exchange: Exchange, server: Server) -> Kind | None:
    page = exchange.send(Request(method="GET", target=target_of(server.signin_page)))
    name, equals, _ = page.headers.get("set-cookie", "").partition("=")
    if page.status != 200 or not equals:
        return None
    # Who is not signed in gets this page, always the same, and no new session is begun for it.
    signed_out = f"{server.signin_page}?signed_out=1"
    target = target_of(signed_out)
    answers = [
        exchange.send(Request(method="GET", target=target, headers={"Cookie": f"{name}={secrets.token_urlsafe(32)}"}))
        for _ in range(2)
    ]
    if answers[0].status != 200 or answers[0].body != answers[1].body:
        return None
    return kinds.session_cookie(signed_out, name, answers[0])


def _made_up(kind: Kind) -> str:
    """What nobody has, in the form of this kind if it has one."""
    grant_id = tokens.format_grant_id(secrets.token_bytes(tokens.GRANT_ID_BYTES))
    for token in forged(secrets.token_bytes(tokens.SECRET_BYTES), [grant_id], []):
        parsed = tokens.parse_token(token)
        if parsed is not None and parsed.kind == kind.form:
            return token
    return secrets.token_urlsafe(tokens.SECRET_BYTES)
