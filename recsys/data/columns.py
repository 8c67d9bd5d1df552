"""Names of the columns of the input contracts, spelled once."""

CUSTOMER = "customer_id"
TIME = "occurred_at"
PRODUCT = "product_id"
QUANTITY = "quantity"
AMOUNT = "amount"
DISCOUNT = "discount"
ORDER = "order_id"
STORE = "store_id"
CHANNEL = "channel"

TRANSACTION_REQUIRED = (CUSTOMER, TIME, PRODUCT)
TRANSACTION_OPTIONAL = (QUANTITY, AMOUNT, ORDER, STORE, CHANNEL, DISCOUNT)

NAME = "name"
PRICE = "price"
UNIT_COST = "unit_cost"
AVAILABLE_FROM = "available_from"
AVAILABLE_UNTIL = "available_until"
OFFERABLE = "offerable"
PRODUCT_COLUMNS = (PRODUCT, NAME, PRICE, UNIT_COST, AVAILABLE_FROM, AVAILABLE_UNTIL, OFFERABLE)

ACQUISITION_COST = "acquisition_cost"
OPT_OUT = "opt_out_"
"""Prefix of a customer's opt-out columns, one a channel."""
