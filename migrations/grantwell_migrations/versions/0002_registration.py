"""Clients with keys of their own, quotas and initial access tokens for registration, and what is used once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns to the clients, with what a client had that did not know them, and two tables."""
    _extend_clients()
    _create_initial_access_tokens()
    _create_claims()


def _extend_clients() -> None:
    op.add_column("oauth_clients", sa.Column("jwks", sa.Text(), nullable=True))
    op.add_column("oauth_clients", sa.Column("jwks_uri", sa.Text(), nullable=True))
    op.add_column("oauth_clients", sa.Column("introspects", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("oauth_clients", sa.Column("registration_access", sa.LargeBinary(), nullable=True))
    op.add_column("oauth_clients", sa.Column("registered_from", sa.LargeBinary(), nullable=True))
    unused = sa.text("last_used_at IS NULL AND registered_from IS NOT NULL")
    op.create_index(
        "ix_oauth_clients_registered_from_created_at",
        "oauth_clients",
        ["registered_from", "created_at"],
        sqlite_where=unused,
        postgresql_where=unused,
    )


def _create_initial_access_tokens() -> None:
    op.create_table(
        "oauth_initial_access_tokens",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_oauth_initial_access_tokens"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_oauth_initial_access_tokens_expires_at", "oauth_initial_access_tokens", ["expires_at"])


def _create_claims() -> None:
    op.create_table(
        "oauth_claims",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_oauth_claims"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_oauth_claims_expires_at", "oauth_claims", ["expires_at"])
