"""Playing a client from its registration to the page that its user would see; nobody signs in."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from ..output import plain
from .discovery import SCHEME_CURE, Servers
from .findings import Report
from .personas import Persona
from .wire import Answer, Unreachable, Wire

_MOST_HOPS = 5
_FOREIGN_REDIRECT = "https://doctor.invalid/callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A client that the doctor may use. `management` is its URL and token of RFC 7592, if it has them."""

    client_id: str
    management: tuple[str, str] | None


async def play(wire: Wire, servers: Servers, persona: Persona, report: Report, *, read_only: bool) -> bool:
    """Go the way of one client; returns whether a registration is left behind."""
    wire.forget_cookies()
    with report.step(persona.name):
        try:
            return await _play(wire, servers, persona, report, read_only=read_only)
        except Unreachable as error:
            report.fail(str(error), error.cure, affects=(persona.name,))
            return False


async def _play(wire: Wire, servers: Servers, persona: Persona, report: Report, *, read_only: bool) -> bool:
    if persona.document is not None and servers.takes_documents:
        await _authorize(wire, servers, persona, persona.document, report, by_document=True)
        return False
    if servers.endpoint("registration_endpoint") is None:
        report.fail(
            f"{persona.name} publishes no metadata document that this server takes, and cannot register.",
            "Set client_registration_endpoint.",
            affects=(persona.name,),
        )
        return False
    if read_only:
        report.skip("Not registered, because of --read-only.", affects=(persona.name,))
        return False
    client = await _register(wire, servers, persona, report)
    if client is None:
        return False
    await _authorize(wire, servers, persona, client.client_id, report, by_document=False)
    await _exchange(wire, servers, persona, client.client_id, report)
    return not await _removed(wire, client)


async def _register(wire: Wire, servers: Servers, persona: Persona, report: Report) -> Registered | None:
    metadata = {
        "client_name": f"{persona.client_name} (grantwell doctor)",
        "redirect_uris": list(persona.redirect_uris),
        "grant_types": list(persona.grant_types),
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        **({"scope": servers.scope} if servers.scope else {}),
    }
    headers = {"Accept": "application/json", **({"Origin": persona.origin} if persona.origin else {})}
    answer = await wire.ask("POST", servers.server["registration_endpoint"], headers=headers, json=metadata)
    document = answer.document or {}
    client_id = document.get("client_id")
    if answer.status != 201 or not isinstance(client_id, str):
        report.fail(
            f"{persona.name} is not registered: {answer.said}.",
            _registration_cure(answer, persona),
            affects=(persona.name,),
        )
        return None
    lost = [uri for uri in persona.redirect_uris if uri not in (document.get("redirect_uris") or [])]
    if lost:
        report.fail(
            f"The registration lacks {plain(', '.join(lost))}.",
            "A redirect URI that was dropped is refused at sign-in: keep all, byte by byte.",
            affects=(persona.name,),
        )
    if "client_secret" in document:
        report.warn(
            "A public client was given a client_secret.", "It has nowhere to keep it: answer as registered, with none."
        )
    if "refresh_token" not in (document.get("grant_types") or []):
        report.warn(
            f"{persona.name} is registered without refresh_token.",
            "It will ask its user again with each access token's end.",
            affects=(persona.name,),
        )
    report.ok(f"{persona.name} registers itself.", affects=(persona.name,))
    url, token = document.get("registration_client_uri"), document.get("registration_access_token")
    return Registered(
        client_id=client_id, management=(url, token) if isinstance(url, str) and isinstance(token, str) else None
    )


def _registration_cure(answer: Answer, persona: Persona) -> str:
    if (answer.document or {}).get("error") == "invalid_redirect_uri":
        schemes = sorted({urlsplit(uri).scheme for uri in persona.redirect_uris} - {"http", "https"})
        what = f" and the schemes {', '.join(schemes)} (private_use_schemes)" if schemes else ""
        return f"Let it register https, loopback{what}."
    if answer.status in (401, 403):
        return "Registration needs an initial access token here, or a rule refused it: create a client for it by hand."
    if answer.status == 429:
        return "Too many clients that nobody uses came from this address: max_unused_clients, or wait a day."
    return "Look at the server's log; the answer should be 201 with a client_id."


async def _authorize(
    wire: Wire, servers: Servers, persona: Persona, client_id: str, report: Report, *, by_document: bool
) -> None:
    answer = await _followed(wire, servers, persona.redirect_uri, client_id)
    who = (persona.name,)
    if answer.is_redirect:
        report.fail(_where(answer, persona), _redirect_cure(answer), affects=who)
    elif answer.status == 200 and answer.media_type == "text/html":
        report.ok(f"{persona.name} gets its user to a page of this server.", affects=who)
        _check_page(answer, report, who)
    elif by_document and answer.media_type == "text/html":
        report.warn(
            f"The page says {answer.status}: {plain(persona.document)} was perhaps not had.",
            "The server fetches it over https from the public internet: let it out, or see its log for the reason.",
            affects=who,
        )
    else:
        report.fail(
            f"The authorization endpoint answers {answer.said} as {plain(answer.media_type) or 'nothing'}.",
            "A person is looking at this: it must be a page, and for this request one to sign in.",
            affects=who,
        )
    foreign = await _followed(wire, servers, _FOREIGN_REDIRECT, client_id)
    report.check(
        not foreign.headers.get("location", "").startswith(_FOREIGN_REDIRECT),
        "A redirect URI that was not registered is not gone to.",
        "The server sends people to a redirect URI that the client did not register.",
        "Compare it with the registered ones, byte by byte: as it is, anybody can fetch codes.",
    )


async def _followed(wire: Wire, servers: Servers, redirect_uri: str, client_id: str) -> Answer:
    """What a browser ends at that opens an authorization request, as long as it stays on the server."""
    verifier = secrets.token_urlsafe(32)
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "state": secrets.token_urlsafe(16),
        "resource": servers.url,
        **({"scope": servers.scope} if servers.scope else {}),
    }
    endpoint = servers.server["authorization_endpoint"]
    url = f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(parameters)}"
    for _ in range(_MOST_HOPS):
        answer = await wire.ask("GET", url, headers={"Accept": "text/html"})
        target = urljoin(url, answer.headers.get("location", ""))
        if not answer.is_redirect or not _same_origin(target, servers.issuer):
            return answer
        url = target
    return answer


def _same_origin(url: str, other: str) -> bool:
    here, there = urlsplit(url), urlsplit(other)
    return (here.scheme, here.netloc) == (there.scheme, there.netloc)


def _where(answer: Answer, persona: Persona) -> str:
    location = answer.headers["location"]
    if location.startswith(persona.redirect_uri):
        query = parse_qs(urlsplit(location).query)
        words = [values[0] for name in ("error", "error_description") if (values := query.get(name))]
        return f"The server sends the user back at once: {plain(': '.join(words) or 'with a code and no sign-in')}."
    return f"The server sends the user to {plain(location)[:200]}."


def _redirect_cure(answer: Answer) -> str:
    location = answer.headers["location"]
    if location.startswith("http://") and answer.url.startswith("https://"):
        return SCHEME_CURE
    if "error=" in location:
        return "The request is what this client sends: its scope and resource are those of the metadata."
    return "The sign-in pages are below the issuer; where an upstream signs people in, that is the page before it."


def _check_page(answer: Answer, report: Report, who: tuple[str, ...]) -> None:
    policy = answer.headers.get("content-security-policy", "")
    if "form-action" in policy:
        report.fail(
            "The page's Content-Security-Policy has form-action.",
            "Chromium applies it to the redirect after the form: people allow, and stay where they are. Leave it out.",
            affects=who,
        )
    if "frame-ancestors" not in policy and "x-frame-options" not in answer.headers:
        report.fail(
            "The page may be shown in a frame of another site.",
            "Send frame-ancestors 'none' (RFC 9700 section 4.16); a proxy must not remove it.",
        )


async def _exchange(wire: Wire, servers: Servers, persona: Persona, client_id: str, report: Report) -> None:
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": "gwc_" + "A" * 65,
        "redirect_uri": persona.redirect_uri,
        "code_verifier": "v" * 43,
        "resource": servers.url,
    }
    answer = await wire.ask("POST", servers.server["token_endpoint"], form=form)
    report.check(
        answer.status == 400 and (answer.document or {}).get("error") == "invalid_grant",
        "The token endpoint reads its request.",
        f"The token endpoint answers a wrong code of {persona.name} with {answer.said}, not 400 invalid_grant.",
        "Something before Grantwell changes the form or answers itself.",
        affects=(persona.name,),
    )


async def _removed(wire: Wire, client: Registered) -> bool:
    if client.management is None:
        return False
    url, token = client.management
    answer = await wire.ask("DELETE", url, headers={"Authorization": f"Bearer {token}"})
    return answer.status == 204
