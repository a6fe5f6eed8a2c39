"""Making tokens: what each kind is authenticated over, and the answer that hands them out (RFC 6749 section 5.1)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._protocol.scopes import format_scope
from .._protocol.tokens import format_access_token, format_code, format_grant_id, format_refresh_token
from ..crypto import Keyring, MacField, PropsOwner, digest_of, encode_props
from ..records import AccessToken, Code, Grant, RefreshToken

SECRET_BYTES = 32
FAMILY_BYTES = 16
GRANT_ID_BYTES = 12
_MAX_METADATA_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class DataKey:
    """The opened key of one props version."""

    key: bytes
    version: int


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A successful answer of the token endpoint. Instants are seconds since 1970 UTC; `now` is when it is given."""

    access_token: str
    expires_at: int
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    now: int
    refresh_token: str | None = None
    refresh_token_expires_at: int | None = None
    issued_token_type: str | None = None

    def members(self) -> dict[str, Any]:
        """The JSON members; those without a value are left out."""
        members: dict[str, Any] = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_at - self.now,
            "scope": format_scope(self.scopes),
            "resource": self.audience[0] if len(self.audience) == 1 else list(self.audience),
        }
        if self.issued_token_type is not None:
            members["issued_token_type"] = self.issued_token_type
        if self.refresh_token is not None:
            members["refresh_token"] = self.refresh_token
            if self.refresh_token_expires_at is not None:
                members["refresh_token_expires_in"] = self.refresh_token_expires_at - self.now
        return members


def new_grant_id() -> str:
    """A fresh id; one that begins with a letter or digit can be given to a command line as it is."""
    while True:
        grant_id = format_grant_id(secrets.token_bytes(GRANT_ID_BYTES))
        if grant_id[0].isalnum():
            return grant_id


def check_user_id(user_id: str) -> None:
    """Raises ValueError for what cannot be the user of a grant."""
    if not isinstance(user_id, str) or not 0 < len(user_id) <= 255 or not user_id.isprintable():
        raise ValueError("a user id has 1 to 255 printable characters")


def checked_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a grant as JSON has it. Raises ValueError."""
    encoded = encode_props(dict(metadata))
    if len(encoded) > _MAX_METADATA_BYTES:
        raise ValueError(f"grant metadata takes {len(encoded)} bytes as JSON; {_MAX_METADATA_BYTES} is the most")
    decoded: dict[str, Any] = json.loads(encoded)
    return decoded


def owner_of(grant: Grant) -> PropsOwner:
    """To whom the props of a grant belong."""
    return PropsOwner(user_id=grant.user_id, grant_id=grant.grant_id, client_id=grant.client_id)


def _grant_fields(grant: Grant) -> list[MacField]:
    return [
        grant.grant_id,
        grant.user_id,
        grant.client_id,
        grant.scopes,
        grant.resources,
        grant.redirect_uri,
        json.dumps(dict(grant.metadata), sort_keys=True),
        grant.created_at,
    ]


def access_fields(grant: Grant, token: AccessToken) -> list[MacField]:
    """What an access token grants."""
    return [
        "access",
        grant.grant_id,
        grant.user_id,
        grant.client_id,
        token.scopes,
        token.audience,
        token.issued_at,
        token.expires_at,
        token.wrapped_key,
        token.props_version,
    ]


def refresh_fields(grant: Grant, generation: int, token: RefreshToken) -> list[MacField]:
    """What a refresh token grants; the grant's absolute end is among it, and the generation that made the row."""
    return [
        "refresh",
        *_grant_fields(grant),
        grant.expires_at,
        generation,
        token.issued_at,
        token.expires_at,
        token.wrapped_key,
        token.props_version,
    ]


def code_fields(grant: Grant, code: Code) -> list[MacField]:
    """What a code grants."""
    return [
        "code",
        *_grant_fields(grant),
        code.code_challenge,
        code.issued_at,
        code.expires_at,
        code.wrapped_key,
        code.props_version,
    ]


def make_code(
    keyring: Keyring, grant: Grant, data_key: DataKey, *, code_challenge: str, now: int, expires_at: int
) -> tuple[str, Code]:
    """A fresh code for a grant, and its row."""
    text = format_code(grant.grant_id, secrets.token_bytes(SECRET_BYTES))
    code = Code(
        digest=digest_of("code", text),
        code_challenge=code_challenge,
        issued_at=now,
        expires_at=expires_at,
        redeemed_at=None,
        props_version=data_key.version,
        wrapped_key=keyring.wrap(data_key.key, text, "code", grant.grant_id),
        mac=b"",
    )
    return text, replace(code, mac=keyring.token_mac(text, code_fields(grant, code)))


def make_access_token(
    keyring: Keyring,
    grant: Grant,
    data_key: DataKey,
    *,
    scopes: tuple[str, ...],
    audience: tuple[str, ...],
    now: int,
    expires_at: int,
) -> tuple[str, AccessToken]:
    """A fresh access token for a grant, and its row."""
    text = format_access_token(grant.grant_id, secrets.token_bytes(SECRET_BYTES))
    token = AccessToken(
        digest=digest_of("access", text),
        scopes=scopes,
        audience=audience,
        issued_at=now,
        expires_at=expires_at,
        props_version=data_key.version,
        wrapped_key=keyring.wrap(data_key.key, text, "access", grant.grant_id),
        mac=b"",
    )
    return text, replace(token, mac=keyring.token_mac(text, access_fields(grant, token)))


def make_refresh_token(
    keyring: Keyring,
    grant: Grant,
    data_key: DataKey,
    *,
    generation: int,
    family: bytes,
    now: int,
    expires_at: int | None,
) -> tuple[str, RefreshToken]:
    """A fresh refresh token of a grant's family, and its row in this generation."""
    text = format_refresh_token(grant.grant_id, family, secrets.token_bytes(SECRET_BYTES))
    return text, refresh_row(keyring, grant, data_key, text, generation=generation, now=now, expires_at=expires_at)


def refresh_row(
    keyring: Keyring,
    grant: Grant,
    data_key: DataKey,
    text: str,
    *,
    generation: int,
    now: int,
    expires_at: int | None,
) -> RefreshToken:
    """The row of a refresh token: of a fresh one, or of one that stays live while the grant changes."""
    token = RefreshToken(
        digest=digest_of("refresh", text),
        issued_at=now,
        expires_at=expires_at,
        props_version=data_key.version,
        wrapped_key=keyring.wrap(data_key.key, text, "refresh", grant.grant_id),
        mac=b"",
    )
    return replace(token, mac=keyring.token_mac(text, refresh_fields(grant, generation, token)))


def sooner(*instants: int | None) -> int | None:
    """The earliest of some instants, of which None means never."""
    return min((instant for instant in instants if instant is not None), default=None)
