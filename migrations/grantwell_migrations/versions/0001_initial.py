"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    _create_clients()
    _create_grants()
    _create_codes_and_tokens()
    _create_accounts()


def _create_clients() -> None:
    op.create_table(
        "oauth_clients",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("redirect_uris", sa.Text(), nullable=False),
        sa.Column("grant_types", sa.Text(), nullable=False),
        sa.Column("response_types", sa.Text(), nullable=False),
        sa.Column("token_endpoint_auth_method", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("secrets", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_oauth_clients"),
    )
    op.create_index("ix_oauth_clients_created_at_client_id", "oauth_clients", ["created_at", "client_id"])
    op.create_index(
        "ix_oauth_clients_origin_last_used_at_created_at", "oauth_clients", ["origin", "last_used_at", "created_at"]
    )


def _create_grants() -> None:
    op.create_table(
        "oauth_grants",
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("resources", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("exchanged_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("family", sa.LargeBinary(), nullable=True),
        sa.Column("current_digest", sa.LargeBinary(), nullable=True),
        sa.Column("current_issued_at", sa.BigInteger(), nullable=True),
        sa.Column("current_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("current_props_version", sa.BigInteger(), nullable=True),
        sa.Column("current_wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("current_mac", sa.LargeBinary(), nullable=True),
        sa.Column("previous_digest", sa.LargeBinary(), nullable=True),
        sa.Column("previous_issued_at", sa.BigInteger(), nullable=True),
        sa.Column("previous_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("previous_props_version", sa.BigInteger(), nullable=True),
        sa.Column("previous_wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("previous_mac", sa.LargeBinary(), nullable=True),
        sa.Column("seal", sa.LargeBinary(), nullable=True),
        sa.Column("seal_until", sa.BigInteger(), nullable=True),
        sa.Column("retired", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("lease_id", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("lease_lapses", sa.BigInteger(), nullable=False),
        sa.Column("lease_refusals", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_clients.client_id"], name="fk_oauth_grants_oauth_clients", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("grant_id", name="pk_oauth_grants"),
    )
    op.create_index(
        "ix_oauth_grants_client_id_created_at_grant_id", "oauth_grants", ["client_id", "created_at", "grant_id"]
    )
    op.create_index("ix_oauth_grants_created_at_grant_id", "oauth_grants", ["created_at", "grant_id"])
    _create_end_index("oauth_grants", "expires_at")
    _create_end_index("oauth_grants", "revoked_at")
    _create_end_index("oauth_grants", "seal_until")
    op.create_index("ix_oauth_grants_user_id_client_id_serial", "oauth_grants", ["user_id", "client_id", "serial"])
    op.create_index(
        "ix_oauth_grants_user_id_created_at_grant_id", "oauth_grants", ["user_id", "created_at", "grant_id"]
    )


def _create_codes_and_tokens() -> None:
    op.create_table(
        "oauth_codes",
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("code_challenge", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("redeemed_at", sa.BigInteger(), nullable=True),
        sa.Column("props_version", sa.BigInteger(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["oauth_grants.grant_id"], name="fk_oauth_codes_oauth_grants", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("grant_id", name="pk_oauth_codes"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "oauth_access_tokens",
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("props_version", sa.BigInteger(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["oauth_grants.grant_id"], name="fk_oauth_access_tokens_oauth_grants", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("grant_id", "digest", name="pk_oauth_access_tokens"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_oauth_access_tokens_expires_at", "oauth_access_tokens", ["expires_at"])
    op.create_table(
        "oauth_props",
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["oauth_grants.grant_id"], name="fk_oauth_props_oauth_grants", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("grant_id", "version", name="pk_oauth_props"),
        sqlite_with_rowid=False,
    )


def _create_accounts() -> None:
    op.create_table(
        "oauth_users",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_oauth_users"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "oauth_sessions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_oauth_sessions"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_oauth_sessions_expires_at", "oauth_sessions", ["expires_at"])
    op.create_index("ix_oauth_sessions_user_id", "oauth_sessions", ["user_id"])
    op.create_table(
        "oauth_interactions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("session", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session"], ["oauth_sessions.digest"], name="fk_oauth_interactions_oauth_sessions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_oauth_interactions"),
    )
    _create_end_index("oauth_interactions", "closed_at")
    op.create_index("ix_oauth_interactions_expires_at", "oauth_interactions", ["expires_at"])
    op.create_index("ix_oauth_interactions_session_serial", "oauth_interactions", ["session", "serial"])
    op.create_table(
        "oauth_throttles",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_oauth_throttles"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_oauth_throttles_ends_at", "oauth_throttles", ["ends_at"])


def _create_end_index(table: str, column: str) -> None:
    ended = sa.text(f"{column} IS NOT NULL")
    op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=ended, postgresql_where=ended)
