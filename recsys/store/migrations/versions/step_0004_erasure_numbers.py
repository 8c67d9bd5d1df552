"""Erasures are numbered, so that a decision can say which of them it knew."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NUMBERED = (
    "UPDATE erasures SET number = ranked.place FROM (SELECT receipt_id AS receipt, row_number() OVER "
    "(ORDER BY requested_at, receipt_id) AS place FROM erasures) AS ranked WHERE ranked.receipt = erasures.receipt_id"
)


def upgrade() -> None:
    """Number the erasures there are in their sequence, and count them in a row that those who write can lock."""
    op.add_column("erasures", sa.Column("number", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(NUMBERED)
    op.create_table(
        "erasure_gate",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("erasures", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO erasure_gate (number, erasures) SELECT 1, count(*) FROM erasures")


def downgrade() -> None:
    """Drop the numbers; the tombstones stay."""
    op.drop_table("erasure_gate")
    op.drop_column("erasures", "number")
