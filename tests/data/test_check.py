"""What the data can carry: figures by hand, verdicts at their borders."""

from typing import Any

import pytest

from recsys.data.check import carries
from recsys.testing import builders

HISTORY = builders.snapshot(
    builders.lines(
        "ann latte 2024-01-01 1x3.50 order=a1",
        "ann muffin 2024-01-01 1x2.00 order=a1",
        "ann latte 2024-01-11 1x3.50 order=a2",
        "ann scone 2024-01-11 1x3.00 order=a2",
        "ann latte 2024-01-31 2x3.50 order=a3",
        "bob tea 2024-01-05 1x2.50 order=b1",
        "cleo tea 2024-01-06 -1x2.50 order=c1",
        "dora tea 2024-01-07 1x2.50 order=d1",
        "dora tea 2024-01-27 1x2.50 order=d2",
        "dora latte 2024-01-27 1x3.50 order=d2",
    )
)


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("span_days", 30.0),
        ("customers", 3),  # cleo only brought something back
        ("orders", 6),
        ("buyers_2", 2),
        ("buyers_3", 1),
        ("passers_by_share", 0.3333),
        ("repeat_share", round((0.5 + 1 + 0.5) / 3, 4)),
        ("items", 4),
        ("orders_per_customer", 2.0),
        ("gap_days", (12.0, 20.0, 20.0)),  # of 10, 20 and 20 days
    ],
)
def test_figures(figure: str, value: Any) -> None:
    """Counts and shares of a history small enough to count by hand."""
    assert getattr(carries(HISTORY), figure) == value


def base(customers: int, orders: int, products: int = 25, amount: str = "3.50") -> Any:
    """Customers who each buy the same number of times, ten days apart, each product twice in a row."""
    days = [f"2024-0{1 + order // 2}-{1 + 10 * (order % 2):02d}" for order in range(orders)]
    rows = [
        f"c{customer} p{(customer + order // 2) % products} {days[order]} 1x{amount}"
        for customer in range(customers)
        for order in range(orders)
    ]
    return builders.snapshot(builders.lines(*rows))


@pytest.mark.parametrize(
    ("snapshot", "verdicts"),
    [
        (base(1000, 6), ("yes", "yes", "yes")),
        (base(100, 6), ("weak", "weak", "weak")),
        (base(20, 6), ("no", "no", "no")),
        (base(1000, 6, products=1), ("no", "yes", "yes")),
        (base(1000, 6, amount="0.00"), ("yes", "yes", "no")),
        (base(1000, 2), ("no", "no", "no")),
    ],
)
def test_verdicts(snapshot: Any, verdicts: tuple[str, ...]) -> None:
    """Offers, churn and value by customers, items, money and length of the history (horizon: 15 days)."""
    assert tuple(finding.verdict for finding in carries(snapshot, 15).findings) == verdicts


def test_a_constant_product_says_why_there_are_no_offers() -> None:
    """The reason names the single item."""
    assert "the same item" in carries(base(40, 3, products=1), 10).findings[0].reasons[0]
