"""The values that cross the storage port: frozen, complete, and never holding a raw secret.

Times are whole seconds since 1970 UTC; an instant equal to an `expires_at` is already too late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NewType

Digest = NewType("Digest", bytes)
"""What the database keeps of a secret: 32 bytes of SHA-256 (or of HMAC-SHA-256, for a cookie)."""

JsonObject = Mapping[str, Any]

AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
ClientOrigin = Literal["operator", "registration", "document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """One valid secret of a client. `expires_at` is None for one that does not expire."""

    digest: Digest
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An application that may ask for authorization (RFC 7591 section 2).

    `origin`: an operator made it, it registered itself, or it is the snapshot of the document that its id locates.
    `scopes` limits what it may ask for (None: anything the server offers). `metadata` holds the display and software
    members as registered (`client_uri`, `logo_uri`, `contacts`, `client_name#de` …). `jwks` or `jwks_uri` verify its
    assertions. `introspects` are the resources whose tokens it may introspect. `registration_access` is the digest of
    its registration access token (RFC 7592), `registered_from` a keyed digest of the address it registered from.
    `last_used_at` is its last authentication or authorization. `version` counts changes, for compare-and-swap. `mac`
    authenticates the row under the deployment key, so that a client cannot be invented or widened in the database.
    """

    client_id: str
    origin: ClientOrigin
    name: str | None
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    response_types: tuple[str, ...]
    token_endpoint_auth_method: AuthMethod
    scopes: tuple[str, ...] | None
    metadata: JsonObject
    secrets: tuple[ClientSecret, ...]
    created_at: int
    last_used_at: int | None
    version: int
    mac: bytes
    jwks: JsonObject | None = None
    jwks_uri: str | None = None
    introspects: tuple[str, ...] = ()
    registration_access: Digest | None = None
    registered_from: Digest | None = None

    @property
    def is_public(self) -> bool:
        """Whether the client has no credential of its own (RFC 6749 section 2.1)."""
        return self.token_endpoint_auth_method == "none"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialAccessToken:
    """What lets one client register (RFC 7591 section 3). `mac` authenticates it under token and deployment key."""

    digest: Digest
    created_at: int
    expires_at: int
    mac: bytes


RevocationReason = Literal[
    "client_request",
    "code_replay",
    "token_reuse",
    "callback_refused",
    "replaced",
    "too_many",
    "operator",
    "user_request",
    "user_disabled",
    "user_deleted",
    "password_changed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a user allowed a client. It exists once the code is issued, pending until the code is exchanged.

    `user_id` is None for a grant a client holds for itself. `expires_at` is the code's end while pending, then the
    grant's absolute end (None: no end). `last_used_at` is written with each issuance and at most hourly by use.
    """

    grant_id: str
    user_id: str | None
    client_id: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    redirect_uri: str | None
    metadata: JsonObject
    created_at: int
    exchanged_at: int | None
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    revoked_reason: RevocationReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedProps:
    """One immutable version of a grant's props: nonce and AES-256-GCM ciphertext under a key of its own."""

    version: int
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorization code. `wrapped_key` opens the props of `props_version` and is emptied when it is redeemed."""

    digest: Digest
    code_challenge: str
    issued_at: int
    expires_at: int
    redeemed_at: int | None
    props_version: int
    wrapped_key: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A live refresh token of a grant. `expires_at` is the sooner of its idle and its grant's end (None: no end)."""

    digest: Digest
    issued_at: int
    expires_at: int | None
    props_version: int
    wrapped_key: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredToken:
    """A refresh token that has just gone out of use; remembered for ten seconds, for racers."""

    digest: Digest
    retired_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshState:
    """The refresh tokens of a grant: at most two are live, `current` and `previous`.

    `generation` is 0 before the code is exchanged and grows by one with the exchange and with each rotation.
    `family` is the digest of the value that all refresh tokens of the grant share. `seal` is the last answer, readable
    by the holder of `previous` alone, until `seal_until`.
    """

    generation: int
    family: Digest | None
    current: RefreshToken | None
    previous: RefreshToken | None
    seal: bytes | None
    seal_until: int | None
    retired: tuple[RetiredToken, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token of a grant; `audience` are the resource identifiers it is good for."""

    digest: Digest
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    issued_at: int
    expires_at: int
    props_version: int
    wrapped_key: bytes
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who can sign in on the pages of `grantwell.signin`.

    `user_id` is the name they sign in with, or `"<provider>:<subject>"` for one whom an upstream server signs in;
    `password_hash` is empty for somebody who has no password, and then none fits. `name` is what to call them: it is
    shown, and decides nothing. `mac` authenticates the row under the deployment key, so that a user cannot be
    invented, promoted or let in again in the database.
    """

    user_id: str
    password_hash: str
    is_admin: bool
    created_at: int
    disabled_at: int | None
    version: int
    mac: bytes
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser. `user_id` is None until somebody has signed in on it; `digest` is a keyed digest of its cookie.

    `user_agent` and `address` are what its sign-in said of itself, for its user to recognise it by. `sealed` is what
    only the holder of the cookie and of the deployment key can read together: the upstream tokens of the sign-in.
    """

    digest: Digest
    user_id: str | None
    created_at: int
    expires_at: int
    mac: bytes
    user_agent: str | None = None
    address: str | None = None
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """An authorization request waiting for its user, bound to the browser that brought it.

    `request` is the validated request as JSON. `closed_at` is set once it was answered, by consent or denial.
    """

    digest: Digest
    session: Digest
    request: str
    created_at: int
    expires_at: int
    closed_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened; `on_event` observes it after it was committed, and `list_events` finds it again.

    Of refusals `on_error` hears, so that `refused` is found by `list_events` alone.

    `at` is in seconds since 1970 UTC. `actor` is who did it: "client", "operator", "user:" and their id, or empty for
    the server itself. `address` is where the request came from, where that is known. `reference` is what an error
    page showed. `details` is a JSON object with no secret in it. `event_id` sorts the events of one second. `name` is
    one of: client_registered, client_changed, client_deleted, client_secret_rotated, initial_access_token_created,
    grant_issued, grant_denied, code_exchanged, code_replayed, token_refreshed, refresh_replayed,
    refresh_reuse_detected, token_issued, token_exchanged, token_revoked, grant_revoked, purged, refused; and of the
    sign-in pages: signed_in, sign_in_failed, signed_out, session_ended, password_changed, user_added, user_disabled,
    user_enabled, user_deleted, admin_changed.
    """

    name: str
    at: int
    client_id: str | None = None
    user_id: str | None = None
    grant_id: str | None = None
    reason: str = ""
    actor: str = ""
    address: str | None = None
    reference: str = ""
    details: JsonObject = field(default_factory=dict)
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a protected call; a wrapped application finds it as `request.user`.

    `props` is a fresh copy for each call. `scopes` and `audience` are those of the token. `expires_at` is in seconds
    since 1970 UTC, None for an external token that names no end. `client_id` and `grant_id` are None for those.
    """

    user_id: str | None
    props: Any
    client_id: str | None
    grant_id: str | None
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    expires_at: int | None

    @property
    def is_authenticated(self) -> bool:
        """Always true: the guard lets nobody else through (Starlette's `BaseUser`)."""
        return True

    @property
    def display_name(self) -> str:
        """The user, or the client where there is no user (Starlette's `BaseUser`)."""
        return self.user_id or self.client_id or ""

    @property
    def identity(self) -> str:
        """The same as `display_name` (Starlette's `BaseUser`)."""
        return self.display_name
