"""What an exchange and a refresh share: new props versions, new tokens, new ends, as the callback wants them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Literal

from ..crypto import Unsealable
from ..errors import OAuthError
from ..hooks import TokenExchange
from ..records import AccessToken, Grant, SealedProps
from . import callback
from .context import Context
from .issuance import DataKey, make_access_token, owner_of, sooner


@dataclass(frozen=True, slots=True)
class OpenedProps:
    """The props of a grant as JSON bytes, and the key that opened them."""

    props: bytes
    key: DataKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What a grant becomes: its keys, its new props versions, its end, and an access token."""

    grant: Grant
    grant_key: DataKey
    access_key: DataKey
    new_props: tuple[SealedProps, ...]
    access_text: str
    access: AccessToken
    access_ttl: int


def open_props(
    context: Context,
    grant: Grant,
    props: SealedProps | None,
    wrapped_key: bytes,
    token: str,
    kind: Literal["code", "refresh"],
) -> OpenedProps:
    """The props that a code or refresh token opens. Raises OAuthError `invalid_grant` if it does not."""
    try:
        if props is None:
            raise Unsealable("the props are gone")
        key = context.keyring.unwrap(wrapped_key, token, kind, grant.grant_id)
        return OpenedProps(context.keyring.open_props(key, props, owner_of(grant)), DataKey(key, props.version))
    except Unsealable as error:
        raise OAuthError("invalid_grant", reason=str(error)) from error


async def ask_callback(
    context: Context,
    grant: Grant,
    generation: int,
    opened: OpenedProps,
    *,
    grant_type: Literal["authorization_code", "refresh_token"],
    scopes: tuple[str, ...],
    audience: tuple[str, ...],
) -> callback.Changes | None:
    """What the token-exchange callback wants changed; None if the grant moved on meanwhile."""
    if context.hooks.token_exchange is None:
        return callback.Changes()
    return await callback.ask(
        context,
        TokenExchange(
            grant_type=grant_type,
            client_id=grant.client_id,
            user_id=grant.user_id,
            grant_id=grant.grant_id,
            generation=generation,
            idempotency_key=f"{grant.grant_id}.{generation}",
            scopes=grant.scopes,
            requested_scopes=scopes,
            resources=audience,
            props=json.loads(opened.props),
            metadata=grant.metadata,
            access_token_ttl=context.settings.access_token_ttl,
        ),
    )


def renew(
    context: Context,
    grant: Grant,
    opened: OpenedProps,
    changes: callback.Changes,
    *,
    generation: int,
    ends_at: int | None,
    scopes: tuple[str, ...],
    audience: tuple[str, ...],
    now: int,
) -> Renewal:
    """Make the next generation of a grant that ends at `ends_at`, with an access token for scopes and audience."""
    keyring, owner = context.keyring, owner_of(grant)
    grant_key = access_key = opened.key
    new_props: list[SealedProps] = []
    # Versions follow the generation, which one writer alone can claim: two of them are never the same.
    if changes.props is not None:
        key, sealed = keyring.seal_props(changes.props, owner, 2 * generation)
        grant_key = access_key = DataKey(key, sealed.version)
        new_props.append(sealed)
    if changes.access_token_props is not None:
        key, sealed = keyring.seal_props(changes.access_token_props, owner, 2 * generation + 1)
        access_key = DataKey(key, sealed.version)
        new_props.append(sealed)
    access_ttl = changes.access_token_ttl or context.settings.access_token_ttl
    access_ends_at = sooner(now + access_ttl, ends_at) or now + access_ttl
    renewed = replace(grant, expires_at=ends_at)
    access_text, access = make_access_token(
        keyring,
        renewed,
        access_key,
        scopes=scopes if changes.scopes is None else tuple(s for s in scopes if s in changes.scopes),
        audience=audience,
        now=now,
        expires_at=access_ends_at,
    )
    return Renewal(
        grant=renewed,
        grant_key=grant_key,
        access_key=access_key,
        new_props=tuple(new_props),
        access_text=access_text,
        access=access,
        access_ttl=access_ttl,
    )


def idle_end(context: Context, ends_at: int | None, now: int) -> int | None:
    """When a refresh token issued now ends: with its grant, or after its idle time."""
    idle = context.settings.refresh_token_idle_ttl
    return sooner(ends_at, None if idle is None else now + idle)
