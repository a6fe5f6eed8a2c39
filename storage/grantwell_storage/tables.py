"""The tables, in SQLAlchemy Core; `docs/storage-schema.md` explains each column and is compared with them by a test.

Instants and counters are whole numbers (seconds since 1970 UTC), digests, MACs and wrapped keys are bytes, and lists
and JSON are JSON text. Columns of a record stand first and in the order of its fields: the decoders rely on it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class Bytes(LargeBinary):
    """Bytes as the driver returns them, so that a damaged value reaches the decoder and does not break the fetch."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Convert nothing."""


def _column(
    name: str, kind: Any, *constraints: Any, null: bool = False, key: bool = False, default: str | None = None
) -> Column[Any]:
    return Column(name, kind, *constraints, nullable=null, primary_key=key, server_default=default)


def _cascade(target: str) -> ForeignKey:
    return ForeignKey(target, ondelete="CASCADE")


def _partial_index(column: str, *others: str) -> Index:
    """An index of the rows that have a value in the column."""
    there = text(f"{column} IS NOT NULL")
    return Index(None, column, *others, sqlite_where=there, postgresql_where=there)


def _end_index(column: str) -> Index:
    # Partial, so that "is not ended" is never looked up in it: that is what most rows are.
    return _partial_index(column)


_UNUSED_OF_AN_ADDRESS = text("last_used_at IS NULL AND registered_from IS NOT NULL")


clients = Table(
    "oauth_clients",
    metadata,
    _column("client_id", Text, key=True),
    _column("origin", Text),
    _column("name", Text, null=True),
    _column("redirect_uris", Text),
    _column("grant_types", Text),
    _column("response_types", Text),
    _column("token_endpoint_auth_method", Text),
    _column("scopes", Text, null=True),
    _column("metadata", Text),
    _column("secrets", Text),
    _column("created_at", BigInteger),
    _column("last_used_at", BigInteger, null=True),
    _column("version", BigInteger),
    _column("mac", Bytes),
    _column("jwks", Text, null=True),
    _column("jwks_uri", Text, null=True),
    _column("introspects", Text, default="[]"),
    _column("registration_access", Bytes, null=True),
    _column("registered_from", Bytes, null=True),
    Index(None, "created_at", "client_id"),
    Index(None, "origin", "last_used_at", "created_at"),
    Index(
        None,
        "registered_from",
        "created_at",
        sqlite_where=_UNUSED_OF_AN_ADDRESS,
        postgresql_where=_UNUSED_OF_AN_ADDRESS,
    ),
)

initial_access_tokens = Table(
    "oauth_initial_access_tokens",
    metadata,
    _column("digest", Bytes, key=True),
    _column("created_at", BigInteger),
    _column("expires_at", BigInteger),
    _column("mac", Bytes),
    Index(None, "expires_at"),
    sqlite_with_rowid=False,
)

claims = Table(
    "oauth_claims",
    metadata,
    _column("key", Bytes, key=True),
    _column("expires_at", BigInteger),
    Index(None, "expires_at"),
    sqlite_with_rowid=False,
)

grants = Table(
    "oauth_grants",
    metadata,
    _column("grant_id", Text, key=True),
    _column("user_id", Text, null=True),
    _column("client_id", Text, _cascade("oauth_clients.client_id")),
    _column("scopes", Text),
    _column("resources", Text),
    _column("redirect_uri", Text, null=True),
    _column("metadata", Text),
    _column("created_at", BigInteger),
    _column("exchanged_at", BigInteger, null=True),
    _column("expires_at", BigInteger, null=True),
    _column("last_used_at", BigInteger, null=True),
    _column("revoked_at", BigInteger, null=True),
    _column("revoked_reason", Text, null=True),
    _column("generation", BigInteger),
    _column("family", Bytes, null=True),
    _column("current_digest", Bytes, null=True),
    _column("current_issued_at", BigInteger, null=True),
    _column("current_expires_at", BigInteger, null=True),
    _column("current_props_version", BigInteger, null=True),
    _column("current_wrapped_key", Bytes, null=True),
    _column("current_mac", Bytes, null=True),
    _column("previous_digest", Bytes, null=True),
    _column("previous_issued_at", BigInteger, null=True),
    _column("previous_expires_at", BigInteger, null=True),
    _column("previous_props_version", BigInteger, null=True),
    _column("previous_wrapped_key", Bytes, null=True),
    _column("previous_mac", Bytes, null=True),
    _column("seal", Bytes, null=True),
    _column("seal_until", BigInteger, null=True),
    _column("retired", Text),
    _column("serial", BigInteger),
    _column("lease_id", Text, null=True),
    _column("lease_until", BigInteger, null=True),
    _column("lease_lapses", BigInteger),
    _column("lease_refusals", BigInteger),
    Index(None, "created_at", "grant_id"),
    Index(None, "user_id", "created_at", "grant_id"),
    Index(None, "client_id", "created_at", "grant_id"),
    Index(None, "user_id", "client_id", "serial"),
    _end_index("expires_at"),
    _end_index("revoked_at"),
    _end_index("seal_until"),
)

codes = Table(
    "oauth_codes",
    metadata,
    _column("grant_id", Text, _cascade("oauth_grants.grant_id"), key=True),
    _column("digest", Bytes),
    _column("code_challenge", Text),
    _column("issued_at", BigInteger),
    _column("expires_at", BigInteger),
    _column("redeemed_at", BigInteger, null=True),
    _column("props_version", BigInteger),
    _column("wrapped_key", Bytes),
    _column("mac", Bytes),
    sqlite_with_rowid=False,
)

access_tokens = Table(
    "oauth_access_tokens",
    metadata,
    _column("grant_id", Text, key=True),
    _column("digest", Bytes, key=True),
    _column("scopes", Text),
    _column("audience", Text),
    _column("issued_at", BigInteger),
    _column("expires_at", BigInteger),
    _column("props_version", BigInteger),
    _column("wrapped_key", Bytes),
    _column("mac", Bytes),
    _column("serial", BigInteger),
    ForeignKeyConstraint(["grant_id"], ["oauth_grants.grant_id"], ondelete="CASCADE"),
    Index(None, "expires_at"),
    sqlite_with_rowid=False,
)

props = Table(
    "oauth_props",
    metadata,
    _column("grant_id", Text, _cascade("oauth_grants.grant_id"), key=True),
    _column("version", BigInteger, key=True),
    _column("ciphertext", Bytes),
    sqlite_with_rowid=False,
)

users = Table(
    "oauth_users",
    metadata,
    _column("user_id", Text, key=True),
    _column("password_hash", Text),
    _column("is_admin", Boolean),
    _column("created_at", BigInteger),
    _column("disabled_at", BigInteger, null=True),
    _column("version", BigInteger),
    _column("mac", Bytes),
    _column("name", Text, null=True),
    sqlite_with_rowid=False,
)

sessions = Table(
    "oauth_sessions",
    metadata,
    _column("digest", Bytes, key=True),
    _column("user_id", Text, null=True),
    _column("created_at", BigInteger),
    _column("expires_at", BigInteger),
    _column("mac", Bytes),
    _column("user_agent", Text, null=True),
    _column("address", Text, null=True),
    _column("sealed", Bytes, null=True),
    Index(None, "user_id"),
    Index(None, "expires_at"),
    sqlite_with_rowid=False,
)

interactions = Table(
    "oauth_interactions",
    metadata,
    _column("digest", Bytes, key=True),
    _column("session", Bytes, _cascade("oauth_sessions.digest")),
    _column("request", Text),
    _column("created_at", BigInteger),
    _column("expires_at", BigInteger),
    _column("closed_at", BigInteger, null=True),
    _column("serial", BigInteger),
    Index(None, "session", "serial"),
    Index(None, "expires_at"),
    _end_index("closed_at"),
)

throttles = Table(
    "oauth_throttles",
    metadata,
    _column("key", Bytes, key=True),
    _column("attempts", BigInteger),
    _column("ends_at", BigInteger),
    Index(None, "ends_at"),
    sqlite_with_rowid=False,
)

events = Table(
    "oauth_events",
    metadata,
    _column("event_id", Text, key=True),
    _column("at", BigInteger),
    _column("name", Text),
    _column("client_id", Text, null=True),
    _column("user_id", Text, null=True),
    _column("grant_id", Text, null=True),
    _column("reason", Text),
    _column("actor", Text),
    _column("address", Text, null=True),
    _column("reference", Text, null=True),
    _column("details", Text),
    Index(None, "at", "event_id"),
    Index(None, "name", "at", "event_id"),
    _partial_index("client_id", "at", "event_id"),
    _partial_index("user_id", "at", "event_id"),
    _partial_index("grant_id", "at", "event_id"),
    _partial_index("reference", "at", "event_id"),
)
