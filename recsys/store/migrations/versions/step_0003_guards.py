"""API keys, kept answers of idempotent writes, request limits, erasures."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    _keys()
    _answers()
    op.create_table(
        "rate_windows",
        sa.Column("caller", sa.String(32), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("granted", sa.Integer, nullable=False),
    )
    _erasures()


def _keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("scopes", sa.String(100), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("replaces", sa.String(16)),
    )


def _answers() -> None:
    op.create_table(
        "idempotent_answers",
        sa.Column("owner", sa.String(32), primary_key=True),
        sa.Column("idempotency_key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("media_type", sa.String(100)),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_table(
        "idempotent_customers",
        sa.Column("owner", sa.String(32), primary_key=True),
        sa.Column("idempotency_key", sa.String(255), primary_key=True),
        sa.Column("customer_id", sa.String, primary_key=True),
    )
    op.create_index("idempotent_by_customer", "idempotent_customers", ["customer_id"])


def _erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("receipt_id", sa.String(32), primary_key=True),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("erased_at", sa.BigInteger, nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("decisions", sa.Integer, nullable=False),
        sa.Column("answers", sa.Integer, nullable=False),
    )
    op.create_index("erasures_of_subject", "erasures", ["subject", "erased_at"])
    op.create_table(
        "erasure_secret",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("secret", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables: keys, kept answers, limits, and the tombstones of erased customers."""
    for name in (
        "erasure_secret",
        "erasures",
        "rate_windows",
        "idempotent_customers",
        "idempotent_answers",
        "api_keys",
    ):
        op.drop_table(name)
