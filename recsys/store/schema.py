"""Tables of the database. A table added here (decisions, keys) raises `SCHEMA`."""

from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, MetaData, String, Table, Text, select

from recsys.errors import StoreError

SCHEMA = 1
"""Version of the tables; a database of another one is refused."""

METADATA = MetaData()

VERSION = Table("barista_schema", METADATA, Column("version", Integer, primary_key=True, autoincrement=False))

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


def create_tables(connection: Connection) -> None:
    """Create what is missing in an empty database, or check the version of one in use.

    Raises:
        StoreError: the tables are those of another version.
    """
    VERSION.create(connection, checkfirst=True)
    found = connection.execute(select(VERSION.c.version)).scalars().all()
    if not found:
        METADATA.create_all(connection)
        connection.execute(VERSION.insert().values(version=SCHEMA))
    elif found != [SCHEMA]:
        raise StoreError(
            "The database has another schema version",
            found=found[0] if len(found) == 1 else list(found),
            expected=str(SCHEMA),
            cure="Use the Barista version that wrote it, or an empty database",
        )
