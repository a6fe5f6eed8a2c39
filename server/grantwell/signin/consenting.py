"""Consent: what is asked is what was stored, and the answer is bound to browser, user, request and client."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from .. import AuthorizationRequest
from ..config import OFFLINE_ACCESS, ProtectedResource
from ..crypto import MacField
from ..errors import AuthorizationError
from ..records import Client, Session
from .answers import Refusal, page, redirect
from .interactions import Pending
from .signing import signout_csrf
from .visits import Routes, Site, Visit

_LINKS = ("client_uri", "tos_uri", "policy_uri")


@dataclass(frozen=True, slots=True)
class _Asked:
    session: Session
    pending: Pending
    request: AuthorizationRequest

    @property
    def user_id(self) -> str | None:
        """Who may answer; None while somebody has to sign in first."""
        return None if self.pending.needs_sign_in else self.session.user_id

    def csrf_fields(self, user_id: str) -> list[MacField]:
        client = self.request.client
        return [
            "consent",
            self.session.digest,
            self.pending.id,
            user_id,
            self.pending.stored,
            client.client_id,
            client.version,
            client.origin,
            client.name,
        ]


async def show(site: Site, visit: Visit) -> Response:
    """Ask the user. It changes nothing, however often it is opened."""
    asked = await _asked(site, visit, visit.query("i").get("i", ""))
    user_id = asked.user_id
    if user_id is None:
        return redirect(f"{site.path('/signin')}?i={asked.pending.id}")
    upstream = site.token_upstream(user_id)
    if upstream is not None and _upstream_tokens(site, visit, asked.session) is None:
        # Each grant gets upstream tokens of its own; those of this sign-in went to another one.
        return await upstream.begin(site, visit, asked.session, asked.pending.id)
    return page(site.render("consent.html", **_shown(site, asked, user_id)))


async def answer(site: Site, visit: Visit) -> Response:
    """Take the answer, once, and send the browser to the client with it."""
    asked = await _asked(site, visit, visit.form.get("i", ""))
    user_id = asked.user_id
    if user_id is None:
        raise Refusal(403, "not_signed_in")
    if not site.keyring.csrf_token_fits(asked.csrf_fields(user_id), visit.form.get("csrf", "")):
        raise Refusal(403, "foreign_form")
    match visit.form.get("decision"):
        case "allow":
            props = await _props(site, visit, asked, user_id)
            if props is None:
                return redirect(f"{site.path('/consent')}?i={asked.pending.id}")
            return redirect(await _allow(site, asked, user_id, visit.form.getlist("scope"), props))
        case "deny":
            return redirect(await _deny(site, asked, user_id, visit.now))
    raise Refusal(403, "foreign_form")


async def _props(site: Site, visit: Visit, asked: _Asked, user_id: str) -> dict[str, Any] | None:
    """What the grant's props say; None if they need upstream tokens that went to another grant meanwhile."""
    props: dict[str, Any] = {"username": user_id}
    if site.token_upstream(user_id) is None:
        return props
    tokens = _upstream_tokens(site, visit, asked.session)
    cookies = visit.request.headers.getlist("cookie")
    # Taken out before they are given away, so that no two grants get the same.
    if tokens is None or not await site.sessions.keep_secret(asked.session, cookies, None):
        return None
    return props | {"upstream": tokens}


def _upstream_tokens(site: Site, visit: Visit, session: Session) -> Any:
    secret = site.sessions.secret_of(session, visit.request.headers.getlist("cookie"))
    return None if secret is None else json.loads(secret)


async def _allow(site: Site, asked: _Asked, user_id: str, scopes: list[str], props: dict[str, Any]) -> str:
    try:
        return await site.oauth.complete_authorization(
            asked.request,
            user_id=user_id,
            props=props,
            scopes=scopes or None,
            interaction=asked.pending.key,
        )
    except AuthorizationError as error:
        raise Refusal(403, "refused", description=error.description) from error


async def _deny(site: Site, asked: _Asked, user_id: str, now: int) -> str:
    if not await site.interactions.close(asked.pending, now):
        raise Refusal(403, "nothing_to_answer")
    return await site.oauth.deny_authorization(asked.request, user_id=user_id)


async def _asked(site: Site, visit: Visit, interaction_id: str) -> _Asked:
    """The open request of this browser. Raises Refusal, or AuthorizationError if its client is gone."""
    session = visit.session
    pending = None if session is None else await site.interactions.find(interaction_id, session, visit.now)
    if session is None or pending is None:
        raise Refusal(403, "nothing_to_answer")
    return _Asked(session, pending, await site.oauth.load_authorization_request(pending.request))


def _shown(site: Site, asked: _Asked, user_id: str) -> Mapping[str, object]:
    """What the question says, as its template wants it."""
    request, client = asked.request, asked.request.client
    resources = [resource for name in request.resources if (resource := site.settings.resource(name)) is not None]
    return {
        "client_name": client.name,
        "client_id": client.client_id,
        "is_verified": client.origin == "operator",
        "site_host": site.oauth.redirect_host(client.client_id) if client.origin == "document" else None,
        "host": site.oauth.redirect_host(request.redirect_uri),
        "is_loopback": site.oauth.is_loopback(request.redirect_uri),
        "links": list(_links(client)),
        "resources": [(resource.name or "", resource.identifier) for resource in resources],
        "scopes": _in_words(site, request.scopes, resources),
        "lifetime": _lifetime(site, may_refresh=request.may_refresh),
        "user_id": user_id,
        "interaction_id": asked.pending.id,
        "csrf": site.keyring.csrf_token(asked.csrf_fields(user_id)),
        "signout_csrf": signout_csrf(site, asked.session),
    }


def _links(client: Client) -> Iterator[tuple[str, str]]:
    for name in _LINKS:
        url = client.metadata.get(name, "")
        if url.startswith("https://"):
            yield name, url


def _in_words(site: Site, scopes: Sequence[str], resources: Sequence[ProtectedResource]) -> list[tuple[str, str]]:
    """What each scope means, as each resource that has it says."""
    words = [(r.scopes[scope], scope) for scope in scopes for r in resources if scope in r.scopes]
    if OFFLINE_ACCESS in scopes:
        words.append((site.templates.texts("consent.offline_access"), OFFLINE_ACCESS))
    return list(dict.fromkeys(words))


def _lifetime(site: Site, *, may_refresh: bool) -> str:
    settings, texts = site.settings, site.templates.texts
    if not may_refresh or settings.refresh_token_ttl == 0:
        return texts.lifetime(absolute=settings.access_token_ttl, idle=None)
    return texts.lifetime(absolute=settings.refresh_token_ttl, idle=settings.refresh_token_idle_ttl)


ROUTES: Routes = {"/consent": {"GET": show, "POST": answer}}
