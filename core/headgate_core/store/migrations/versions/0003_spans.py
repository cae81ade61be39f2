"""The OpenTelemetry spans of a call beside its record.

Calls that are there already get none: theirs are derived from the record when they are asked for.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("calls", sa.Column("spans", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """A store is left by restoring a backup."""
    raise NotImplementedError("Restore a backup in place of going back.")
