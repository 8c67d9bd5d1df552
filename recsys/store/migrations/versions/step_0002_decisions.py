"""The decisions that were answered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(32), primary_key=True),
        sa.Column("customer_id", sa.String, nullable=False),
        sa.Column("snapshot_id", sa.String(64), nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_index("decisions_of_customer", "decisions", ["customer_id", "decided_at"])
    op.create_index("decisions_of_snapshot", "decisions", ["snapshot_id", "decided_at"])


def downgrade() -> None:
    """Drop the table and every decision in it."""
    op.drop_table("decisions")
