"""Events, the names of users, and what a session says of its browser."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that may be empty to users and sessions, and a table."""
    op.add_column("oauth_users", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("oauth_sessions", sa.Column("user_agent", sa.Text(), nullable=True))
    op.add_column("oauth_sessions", sa.Column("address", sa.Text(), nullable=True))
    op.add_column("oauth_sessions", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    _create_events()


def _create_events() -> None:
    op.create_table(
        "oauth_events",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("grant_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_oauth_events"),
    )
    op.create_index("ix_oauth_events_at_event_id", "oauth_events", ["at", "event_id"])
    op.create_index("ix_oauth_events_name_at_event_id", "oauth_events", ["name", "at", "event_id"])
    for column in ("client_id", "user_id", "grant_id", "reference"):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_oauth_events_{column}_at_event_id",
            "oauth_events",
            [column, "at", "event_id"],
            sqlite_where=there,
            postgresql_where=there,
        )
