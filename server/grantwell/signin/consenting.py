"""Consent: what is asked is what was stored, and the answer is bound to browser, user, request and client."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from .. import AuthorizationRequest
from ..config import OFFLINE_ACCESS
from ..crypto import MacField
from ..records import Client, Session, User
from .answers import Refusal, page, redirect
from .interactions import Pending
from .permissions import asked_permissions, chosen_scopes
from .sessions import readable_user_agent
from .signing import signout_csrf
from .visits import Routes, Site, Visit

_LINKS = ("client_uri", "tos_uri", "policy_uri")


@dataclass(frozen=True, slots=True)
class _Asked:
    session: Session
    pending: Pending
    request: AuthorizationRequest
    user: User | None

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
            return await _allow(site, visit, asked, user_id)
        case "deny":
            return redirect(await _deny(site, asked, user_id, visit.now))
    raise Refusal(403, "foreign_form")


async def _allow(site: Site, visit: Visit, asked: _Asked, user_id: str) -> Response:
    ticked = visit.form.getlist("scope")
    if not set(ticked) <= set(asked.request.scopes):
        raise Refusal(403, "foreign_form")
    scopes = chosen_scopes(asked.request, ticked)
    if scopes is None:
        return page(site.render("consent.html", **_shown(site, asked, user_id, ticked)), status=403)
    props = await _props(site, visit, asked, user_id)
    if props is None:
        return redirect(f"{site.path('/consent')}?i={asked.pending.id}")
    location = await site.oauth.complete_authorization(
        asked.request,
        user_id=user_id,
        props=props,
        scopes=scopes,
        metadata={"installation": _installation(site, visit)},
        interaction=asked.pending.key,
    )
    return redirect(location)


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


def _installation(site: Site, visit: Visit) -> dict[str, str | None]:
    """From where it was allowed: what tells two installations of one client apart."""
    return {
        "user_agent": readable_user_agent(visit.request.headers.get("user-agent")),
        "address": site.oauth.client_address(visit.request),
    }


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
    request = await site.oauth.load_authorization_request(pending.request)
    user = None if session.user_id is None else await site.accounts.get(session.user_id)
    return _Asked(session, pending, request, user)


def _shown(site: Site, asked: _Asked, user_id: str, ticked: Collection[str] | None = None) -> Mapping[str, object]:
    """What the question says, as its template wants it; `ticked` if nothing that was is enough."""
    request, client = asked.request, asked.request.client
    resources = [resource for name in request.resources if (resource := site.settings.resource(name)) is not None]
    permissions = list(asked_permissions(site, request, ticked))
    return {
        "client_name": client.name,
        "client_id": client.client_id,
        "is_verified": client.origin == "operator",
        "site_host": site.oauth.redirect_host(client.client_id) if client.origin == "document" else None,
        "host": site.oauth.redirect_host(request.redirect_uri),
        "is_loopback": site.oauth.is_loopback(request.redirect_uri),
        "links": list(_links(client)),
        "resources": [(resource.name or "", resource.identifier) for resource in resources],
        "permissions": [permission for permission in permissions if permission.scope != OFFLINE_ACCESS],
        "staying": next((permission for permission in permissions if permission.scope == OFFLINE_ACCESS), None),
        "lifetime": _lifetime(site, may_refresh=request.may_refresh),
        "user_id": user_id,
        "user_name": None if asked.user is None else asked.user.name,
        "none_chosen": ticked is not None,
        "interaction_id": asked.pending.id,
        "csrf": site.keyring.csrf_token(asked.csrf_fields(user_id)),
        "signout_csrf": signout_csrf(site, asked.session),
    }


def _links(client: Client) -> Iterator[tuple[str, str]]:
    for name in _LINKS:
        url = client.metadata.get(name, "")
        if url.startswith("https://"):
            yield name, url


def _lifetime(site: Site, *, may_refresh: bool) -> str:
    settings, texts = site.settings, site.texts
    if not may_refresh or settings.refresh_token_ttl == 0:
        return texts.lifetime(absolute=settings.access_token_ttl, idle=None)
    return texts.lifetime(absolute=settings.refresh_token_ttl, idle=settings.refresh_token_idle_ttl)


ROUTES: Routes = {"/consent": {"GET": show, "POST": answer}}
