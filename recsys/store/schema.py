"""Tables of the database. What is added or changed here needs a step in `recsys.store.migrations.versions`."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

_LONG = BigInteger().with_variant(Integer(), "sqlite")

EVENTS = Table(
    "events",
    METADATA,
    Column("sequence", _LONG, primary_key=True, autoincrement=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("customer_id", String, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("is_order", Boolean(create_constraint=False), nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("order_id", String),
    Column("order_key", BigInteger),
    Column("store_id", String),
    Column("channel", String),
    Column("decision_id", String),
    Column("lines", Text, nullable=False),
    Index("events_of_customer", "customer_id", "is_order", "sequence"),
    Index("events_by_time", "is_order", "occurred_at"),
    sqlite_autoincrement=True,
)
"""What was reported while serving.

`sequence` grows in commit order and is never used again; `occurred_at`, `received_at` [s]; `order_key` is the 64-bit
key of an order read as a signed number; `lines` is JSON: [[product_id, quantity, amount, discount], …].
"""

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("decision_id", String(32), primary_key=True),
    Column("customer_id", String, nullable=False),
    Column("snapshot_id", String(64), nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Index("decisions_of_customer", "customer_id", "decided_at"),
    Index("decisions_of_snapshot", "snapshot_id", "decided_at"),
)
"""What was answered to a request for offers.

`decision_id` sorts by time; `decided_at` [s]; `content` is the JSON of `recsys.decisioning.record.DecisionContent`,
without the customer's id, which stands in its column alone.
"""

GATE = Table(
    "erasure_gate",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("erasures", BigInteger, nullable=False),
)
"""One row: how many erasures there were. An erasure counts up before it ends; who writes a decision holds the row."""
