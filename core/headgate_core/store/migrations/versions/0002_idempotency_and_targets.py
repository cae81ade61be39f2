"""Answers kept for idempotency keys, and targets that a person took out of use.

Also makes the secret that kept answers are encrypted with.
"""

import os
import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both tables, and the secret."""
    op.create_table(
        "idempotency",
        sa.Column("principal", sa.String(length=36), nullable=False),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=36), nullable=False),
        sa.Column("lease_unix_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_unix_ns", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("principal", "route", "key_hash"),
    )
    op.create_index(
        op.f("ix_idempotency_expires_unix_ns"), "idempotency", ["expires_unix_ns"], unique=False
    )
    op.create_table(
        "disabled_targets",
        sa.Column("provider", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=300), nullable=False),
        sa.Column("until_unix_ns", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("disabled_unix_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "model"),
    )
    secrets = sa.table(
        "secrets", sa.column("name"), sa.column("value"), sa.column("created_unix_ns")
    )
    row = {"name": "content", "value": os.urandom(32), "created_unix_ns": time.time_ns()}
    op.execute(secrets.insert().values(row))


def downgrade() -> None:
    """A store is left by restoring a backup."""
    raise NotImplementedError("Restore a backup in place of going back.")
