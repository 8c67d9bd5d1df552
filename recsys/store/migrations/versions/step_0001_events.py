"""The events reported while serving."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table; a database from before there were steps has it, and only its old version mark goes."""
    known = sa.inspect(op.get_bind()).get_table_names()
    if "barista_schema" in known:
        op.drop_table("barista_schema")
        return
    op.create_table(
        "events",
        sa.Column("sequence", LONG, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String, nullable=False, unique=True),
        sa.Column("customer_id", sa.String, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("is_order", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("order_id", sa.String),
        sa.Column("order_key", sa.BigInteger),
        sa.Column("store_id", sa.String),
        sa.Column("channel", sa.String),
        sa.Column("decision_id", sa.String),
        sa.Column("lines", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_of_customer", "events", ["customer_id", "is_order", "sequence"])
    op.create_index("events_by_time", "events", ["is_order", "occurred_at"])


def downgrade() -> None:
    """Drop the table and every event in it."""
    op.drop_table("events")
