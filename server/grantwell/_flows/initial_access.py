"""Initial access tokens: what lets a client register where registration is not open (RFC 7591 section 3)."""

from __future__ import annotations

import secrets
from dataclasses import replace

from .._protocol.challenges import bearer_credential
from .._protocol.tokens import format_initial_access_token, parse_token
from ..config import MAX_TTL
from ..crypto import MacField, digest_of
from ..errors import OAuthError
from ..records import Digest, InitialAccessToken
from .context import Context, Sender
from .issuance import SECRET_BYTES


async def create(context: Context, ttl: int) -> str:
    """A token that lets one client register within `ttl` seconds; it is shown this once. Raises ValueError."""
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not 1 <= ttl <= MAX_TTL:
        raise ValueError(f"the lifetime is a whole number of seconds from 1 to {MAX_TTL}")
    now = context.now()
    text = format_initial_access_token(secrets.token_bytes(SECRET_BYTES))
    token = InitialAccessToken(digest=digest_of("initial_access", text), created_at=now, expires_at=now + ttl, mac=b"")
    await context.store.add_initial_access_token(
        replace(token, mac=context.keyring.token_mac(text, _row_fields(token)))
    )
    await context.tell("initial_access_token_created", now)
    return text


async def required(context: Context, sender: Sender, now: int) -> Digest | None:
    """The initial access token to spend; None where registration is open. Raises OAuthError `invalid_token`."""
    if not context.settings.require_initial_access_token:
        return None
    text = bearer_credential(sender.authorization, b"")
    parsed = None if text is None else parse_token(text)
    if text is None:
        raise refused("no initial access token", was_sent=False)
    if parsed is None or parsed.kind != "initial_access":
        raise refused("not an initial access token")
    token = await context.store.get_initial_access_token(digest_of("initial_access", text), now)
    if token is None:
        raise refused("unknown, spent or expired")
    if not context.keyring.token_mac_fits(text, _row_fields(token), token.mac):
        raise refused("the row of the initial access token was altered")
    return token.digest


def refused(reason: str, *, was_sent: bool = True) -> OAuthError:
    """The refusal of a registration for want of an initial access token."""
    return registration_refused("Registration needs an initial access token.", reason, was_sent=was_sent)


def registration_refused(description: str, reason: str, *, was_sent: bool) -> OAuthError:
    """401 with a challenge, which names an error only if a token was sent (RFC 6750 section 3.1)."""
    challenge = 'Bearer realm="registration"' + (', error="invalid_token"' if was_sent else "")
    return OAuthError("invalid_token", description, headers={"WWW-Authenticate": challenge}, reason=reason)


def _row_fields(token: InitialAccessToken) -> list[MacField]:
    return ["initial access", token.created_at, token.expires_at]
