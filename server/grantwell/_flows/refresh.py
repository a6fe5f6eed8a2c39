"""The refresh grant: two live tokens, a sealed replay for lost answers, the end of the grant for reuse (RFC 9700).

The presented token is one of:

- *current*: the next generation is issued, and the presented token becomes the previous one;
- *previous*, inside the replay window: the same successor again, opened from the seal;
- *previous*, later, its successor unused: a new successor; the unused one is retired;
- *retired* less than ten seconds ago: a late racer, refused and nothing else;
- *retired* before: reuse, and the grant ends;
- of another family: forged, refused and nothing else.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from .._protocol.forms import Parameters
from .._protocol.resources import parse_resources
from .._protocol.scopes import parse_scope
from .._protocol.tokens import ParsedToken, parse_token
from ..config import OFFLINE_ACCESS
from ..crypto import Unsealable, digest_of, equal, family_digest
from ..errors import OAuthError
from ..records import Client, Digest, Grant, RefreshState, RefreshToken, RetiredToken
from ..store import LiveAccessToken, NewAccessToken, RefreshableGrant, Revocation, Rotation
from .context import Context
from .issuance import (
    DataKey,
    TokenAnswer,
    access_fields,
    make_access_token,
    make_refresh_token,
    refresh_fields,
    refresh_row,
    sooner,
)
from .narrowing import may_refresh, narrowed_audience, narrowed_scopes
from .renewal import Renewal, ask_callback, idle_end, open_props, renew

RACER_GRACE_SECONDS = 10
_MOST_ATTEMPTS = 32


@dataclass(frozen=True, slots=True)
class _Request:
    """A refresh request, with what it asks for as it was asked."""

    client: Client
    token: ParsedToken
    digest: Digest
    scopes: tuple[str, ...]
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Presented:
    """The live refresh token that was presented, and what it is to its grant now."""

    found: RefreshableGrant
    token: RefreshToken
    role: Literal["current", "previous in window", "previous"]


async def refresh(context: Context, client: Client, form: Parameters, now: int) -> TokenAnswer:
    """Exchange a refresh token. Raises OAuthError; a refusal leaves the grant as it was, unless reuse ends it."""
    text = form.one("refresh_token")
    if text is None:
        raise OAuthError("invalid_request", "The refresh_token parameter is missing.")
    token = parse_token(text)
    if not await _is_registered(context, client, token):
        raise OAuthError("unauthorized_client", reason="not registered for refresh_token")
    if token is None or token.kind != "refresh":
        raise OAuthError("invalid_grant", reason="not a refresh token")
    request = _Request(
        client=client,
        token=token,
        digest=digest_of("refresh", text),
        scopes=tuple(scope for scope in parse_scope(form.one("scope")) if scope != OFFLINE_ACCESS),
        resources=parse_resources(form.many("resource"), context.settings),
    )
    # Each turn that comes back without an answer means that the grant moved on by another's hand: look again.
    for _ in range(_MOST_ATTEMPTS):
        presented = await _judge(context, request, now)
        if presented.role == "previous in window":
            answer = await _replay(context, request, presented, now)
        else:
            answer = await _rotate(context, request, presented, now)
        if answer is not None:
            return answer
        now = context.now()
    raise OAuthError("temporarily_unavailable", reason="the grant keeps moving")


async def _is_registered(context: Context, client: Client, token: ParsedToken | None) -> bool:
    """Whether the client may refresh: it is registered for it, or the user of the token's grant allowed it to stay."""
    if may_refresh(client, ()):
        return True
    found = None if token is None or token.kind != "refresh" else await context.store.get_refreshable(token.grant_id)
    return found is not None and found.grant.client_id == client.client_id and may_refresh(client, found.grant.scopes)


async def _judge(context: Context, request: _Request, now: int) -> _Presented:
    """What the presented token is to its grant; raises OAuthError unless it is live. Reuse ends the grant."""
    found = await context.store.get_refreshable(request.token.grant_id)
    if found is None or found.grant.client_id != request.client.client_id:
        raise OAuthError("invalid_grant", reason="unknown refresh token, or another client's")
    grant, state = found.grant, found.refresh
    if grant.revoked_at is not None or (grant.expires_at is not None and now >= grant.expires_at):
        raise OAuthError("invalid_grant", reason="the grant has ended")
    if grant.exchanged_at is None:
        raise OAuthError("invalid_grant", reason="the code was never exchanged")
    if state.family is None or not equal(state.family, family_digest(request.token.family)):
        raise OAuthError("invalid_grant", reason="a refresh token that was never issued")
    token = _live(state, request.digest)
    if token is None:
        await _refuse_retired(context, grant, state, request.digest, now)
        raise OAuthError("invalid_grant", reason="a retired refresh token")
    if token.expires_at is not None and now >= token.expires_at:
        raise OAuthError("invalid_grant", reason="the refresh token is past its end")
    _refuse_altered(context, found, token, request.token.text)
    if token is state.current:
        return _Presented(found, token, "current")
    in_window = state.seal is not None and state.seal_until is not None and now < state.seal_until
    return _Presented(found, token, "previous in window" if in_window else "previous")


def _refuse_altered(context: Context, found: RefreshableGrant, token: RefreshToken, text: str) -> None:
    fields = refresh_fields(found.grant, found.refresh.generation, token)
    if not context.keyring.token_mac_fits(text, fields, token.mac):
        raise OAuthError("invalid_grant", reason="the row of a refresh token was altered")


def _live(state: RefreshState, digest: Digest) -> RefreshToken | None:
    for token in (state.current, state.previous):
        if token is not None and equal(token.digest, digest):
            return token
    return None


async def _refuse_retired(context: Context, grant: Grant, state: RefreshState, digest: Digest, now: int) -> None:
    if any(equal(r.digest, digest) and now - r.retired_at < RACER_GRACE_SECONDS for r in state.retired):
        return
    if await context.store.revoke_grant(Revocation(grant_id=grant.grant_id, now=now, reason="token_reuse")):
        await context.tell(
            "refresh_reuse_detected", now, client_id=grant.client_id, user_id=grant.user_id, grant_id=grant.grant_id
        )


async def _rotate(context: Context, request: _Request, presented: _Presented, now: int) -> TokenAnswer | None:
    """Issue the next generation; None if the grant moved on meanwhile."""
    found, grant = presented.found, presented.found.grant
    generation = found.refresh.generation
    audience = narrowed_audience(context.settings, grant, request.resources)
    scopes = narrowed_scopes(context.settings, grant.scopes, request.scopes, audience)
    props = next((p for p in found.props if p.version == presented.token.props_version), None)
    opened = open_props(context, grant, props, presented.token.wrapped_key, request.token.text, "refresh")
    changes = await ask_callback(
        context, grant, generation, opened, grant_type="refresh_token", scopes=scopes, audience=audience
    )
    if changes is None:
        return None
    if context.hooks.token_exchange is not None:
        now = context.now()
    ends_at = grant.expires_at
    if changes.sets_refresh_token_ttl:
        ends_at = None if changes.refresh_token_ttl is None else now + changes.refresh_token_ttl
        if changes.refresh_token_ttl == 0:
            ends_at = now + (changes.access_token_ttl or context.settings.access_token_ttl)
    renewal = renew(
        context,
        grant,
        opened,
        changes,
        generation=generation + 1,
        ends_at=ends_at,
        scopes=scopes,
        audience=audience,
        now=now,
    )
    asked_callback = context.hooks.token_exchange is not None
    text, rotation = _prepare(context, request, presented, renewal, now, asked_callback=asked_callback)
    if await context.store.rotate(rotation) == "stale":
        return None
    await context.tell(
        "token_refreshed", now, client_id=grant.client_id, user_id=grant.user_id, grant_id=grant.grant_id
    )
    return TokenAnswer(
        access_token=renewal.access_text,
        expires_at=renewal.access.expires_at,
        scopes=renewal.access.scopes,
        audience=renewal.access.audience,
        now=now,
        refresh_token=text,
        refresh_token_expires_at=rotation.current.expires_at,
    )


def _prepare(
    context: Context,
    request: _Request,
    presented: _Presented,
    renewal: Renewal,
    now: int,
    *,
    asked_callback: bool,
) -> tuple[str, Rotation]:
    """The successor, and the transition that stores it with the answer sealed for whoever presents this token again."""
    keyring, grant, state = context.keyring, renewal.grant, presented.found.refresh
    generation = state.generation + 1
    text, current = make_refresh_token(
        keyring,
        grant,
        renewal.grant_key,
        generation=generation,
        family=request.token.family,
        now=now,
        expires_at=idle_end(context, grant.expires_at, now),
    )
    # The presented token stays live: what it opens, and what it is authenticated over, follow the grant.
    previous = refresh_row(
        keyring,
        grant,
        renewal.grant_key,
        request.token.text,
        generation=generation,
        now=presented.token.issued_at,
        expires_at=sooner(presented.token.expires_at, grant.expires_at),
    )
    retiring = state.previous if presented.role == "current" else state.current
    retired = tuple(r for r in state.retired if now - r.retired_at < RACER_GRACE_SECONDS)
    if retiring is not None:
        retired = (*retired, RetiredToken(digest=retiring.digest, retired_at=now))
    seal = keyring.seal_answer(
        request.token.text,
        grant.grant_id,
        generation,
        _Sealed.of(request, renewal, text, asked_callback=asked_callback).encoded(),
    )
    rotation = Rotation(
        grant_id=grant.grant_id,
        generation=state.generation,
        now=now,
        expires_at=grant.expires_at,
        current=current,
        previous=previous,
        seal=seal,
        seal_until=now + context.settings.refresh_replay_window,
        retired=retired,
        access=renewal.access,
        new_props=renewal.new_props,
    )
    return text, rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """The answer of a rotation as it is sealed: both tokens, what was asked, and how far another answer may go."""

    access_token: str
    refresh_token: str
    asked_scopes: tuple[str, ...]
    asked_resources: tuple[str, ...]
    most_scopes: tuple[str, ...]
    most_resources: tuple[str, ...]
    access_ttl: int
    props_version: int
    data_key: bytes

    @classmethod
    def of(cls, request: _Request, renewal: Renewal, refresh_token: str, *, asked_callback: bool) -> _Sealed:
        """A callback decided about what was asked for, and nothing wider."""
        grant, access = renewal.grant, renewal.access
        return cls(
            access_token=renewal.access_text,
            refresh_token=refresh_token,
            asked_scopes=request.scopes,
            asked_resources=request.resources,
            most_scopes=access.scopes if asked_callback else grant.scopes,
            most_resources=access.audience if asked_callback else grant.resources,
            access_ttl=renewal.access_ttl,
            props_version=renewal.access_key.version,
            data_key=renewal.access_key.key,
        )

    def encoded(self) -> bytes:
        """As JSON bytes."""
        members: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        members["data_key"] = base64.b64encode(self.data_key).decode()
        return json.dumps(members, separators=(",", ":")).encode()

    @classmethod
    def decoded(cls, encoded: bytes) -> _Sealed:
        """From JSON bytes that the seal has authenticated."""
        members = json.loads(encoded)
        for name in ("asked_scopes", "asked_resources", "most_scopes", "most_resources"):
            members[name] = tuple(members[name])
        members["data_key"] = base64.b64decode(members["data_key"], validate=True)
        return cls(**members)


async def _replay(context: Context, request: _Request, presented: _Presented, now: int) -> TokenAnswer | None:
    """The answer of the rotation again, for a lost response or a racing sibling; None if the grant moved on."""
    grant, state = presented.found.grant, presented.found.refresh
    try:
        sealed = _Sealed.decoded(
            context.keyring.open_answer(request.token.text, grant.grant_id, state.generation, state.seal or b"")
        )
    except Unsealable as error:
        raise OAuthError("invalid_grant", reason=str(error)) from error
    if state.current is None:
        raise OAuthError("invalid_grant", reason="the successor is gone")
    _refuse_altered(context, presented.found, state.current, sealed.refresh_token)
    answer = TokenAnswer(
        access_token=sealed.access_token,
        expires_at=0,
        scopes=(),
        audience=(),
        now=now,
        refresh_token=sealed.refresh_token,
        refresh_token_expires_at=state.current.expires_at,
    )
    if (request.scopes, request.resources) == (sealed.asked_scopes, sealed.asked_resources):
        live = await context.store.get_access_token(grant.grant_id, digest_of("access", sealed.access_token), now)
        if live is not None and _is_as_issued(context, live, sealed.access_token):
            await _tell_replay(context, grant, now)
            return replace(
                answer, expires_at=live.token.expires_at, scopes=live.token.scopes, audience=live.token.audience
            )
    audience = narrowed_audience(context.settings, replace(grant, resources=sealed.most_resources), request.resources)
    allowed = tuple(scope for scope in request.scopes if scope in sealed.most_scopes)
    _refuse_more_than_granted(grant, request.scopes, allowed)
    text, access = make_access_token(
        context.keyring,
        grant,
        DataKey(sealed.data_key, sealed.props_version),
        scopes=narrowed_scopes(context.settings, sealed.most_scopes, allowed, audience),
        audience=audience,
        now=now,
        expires_at=sooner(now + sealed.access_ttl, grant.expires_at) or now + sealed.access_ttl,
    )
    new = NewAccessToken(grant_id=grant.grant_id, generation=state.generation, access=access, parent=None, now=now)
    if await context.store.add_access_token(new) == "stale":
        return None
    await _tell_replay(context, grant, now)
    return replace(
        answer, access_token=text, expires_at=access.expires_at, scopes=access.scopes, audience=access.audience
    )


def _is_as_issued(context: Context, live: LiveAccessToken, text: str) -> bool:
    return context.keyring.token_mac_fits(text, access_fields(live.grant, live.token), live.token.mac)


def _refuse_more_than_granted(grant: Grant, requested: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    if any(scope not in grant.scopes for scope in requested) or (requested and not allowed):
        raise OAuthError("invalid_scope", "The scope exceeds what was granted.")


async def _tell_replay(context: Context, grant: Grant, now: int) -> None:
    await context.tell(
        "refresh_replayed", now, client_id=grant.client_id, user_id=grant.user_id, grant_id=grant.grant_id
    )
