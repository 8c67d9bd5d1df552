"""What the simulated café sells, and who comes in."""

from dataclasses import dataclass

LEVELS = ("group", "family")
"""Category levels of the menu, broadest first."""

NOT_OFFERABLE: dict[str, tuple[str, ...]] = {"family": ("VOUCHER",)}
"""A gift card is sold, never recommended."""

PRICE_RISE = 1.10
"""All prices rise by this factor once, in the middle of the year."""

PRICE_RISE_DAY = 182
"""Day of the simulation on which they do."""


@dataclass(frozen=True, slots=True)
class Dish:
    """One line of the menu: product, its catalogue levels, list price [cents] and the day it comes onto the menu."""

    name: str
    group: str
    family: str
    price: int
    launch_day: int = 0

    @property
    def product_id(self) -> str:
        """Id as the till writes it."""
        return self.name.replace(" ", "-")


def _dishes(group: str, family: str, *rows: tuple[str, int]) -> tuple[Dish, ...]:
    return tuple(Dish(name, group, family, price) for name, price in rows)


MENU: tuple[Dish, ...] = (
    *_dishes("DRINKS", "BLACK COFFEE", ("espresso", 220), ("double espresso", 290), ("ristretto", 230)),
    *_dishes("DRINKS", "BLACK COFFEE", ("americano", 280), ("filter coffee", 270), ("cold brew", 390)),
    *_dishes("DRINKS", "MILK COFFEE", ("cappuccino", 340), ("flat white", 360), ("cortado", 310)),
    *_dishes("DRINKS", "LATTE", ("latte", 360), ("vanilla latte", 410), ("iced latte", 400), ("hazelnut latte", 410)),
    *_dishes("DRINKS", "LATTE", ("caramel latte", 420), ("oat latte", 410), ("matcha latte", 470), ("chai latte", 450)),
    *_dishes("DRINKS", "LATTE", ("mocha latte", 440), ("lavender latte", 460), ("coconut latte", 450)),
    Dish("pumpkin spice latte", "DRINKS", "LATTE", 470, launch_day=120),
    *_dishes("DRINKS", "TEA", ("earl grey", 300), ("green tea", 300), ("peppermint tea", 290), ("rooibos", 290)),
    *_dishes("DRINKS", "CHOCOLATE", ("hot chocolate", 380), ("kids chocolate", 250)),
    *_dishes("FOOD", "PASTRY", ("croissant", 260), ("almond croissant", 350), ("pain au chocolat", 320)),
    *_dishes("FOOD", "PASTRY", ("cinnamon roll", 340), ("scone", 300)),
    *_dishes("FOOD", "CAKE", ("muffin", 310), ("carrot cake", 450), ("cheesecake", 470), ("banana bread", 360)),
    *_dishes("FOOD", "LUNCH", ("bagel", 520), ("ham sandwich", 560), ("soup", 590)),
    *_dishes("RETAIL", "BEANS", ("house beans", 1190), ("ethiopia beans", 1490), ("colombia beans", 1390)),
    *_dishes(
        "RETAIL",
        "BEANS",
        ("decaf beans", 1290),
    ),
    *_dishes("RETAIL", "GEAR", ("filter papers", 450), ("travel mug", 1990)),
    *_dishes("OTHER", "VOUCHER", ("gift card", 2000)),
)

NAMES = tuple(dish.name for dish in MENU)
"""Names in menu order: position = item number in the simulation's matrices."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One latent type of customer.

    share       part of the base
    gap         median days between visits [days]
    favourites  weight of each main item a visit starts with
    extras      P(item is added to a visit)
    home        family within which the customer explores
    curious     part of the segment that explores
    curiosity   P(a curious customer's main item is another one of the home family), low and high end
    weekday     weight of Monday … Sunday
    party       mean number of main items beyond the first
    opening     hour around which they come
    """

    name: str
    share: float
    gap: float
    favourites: dict[str, float]
    extras: dict[str, float]
    home: str
    curious: float
    curiosity: tuple[float, float]
    weekday: tuple[float, ...]
    party: float
    opening: float


_WORKDAYS = (1.3, 1.3, 1.3, 1.3, 1.2, 0.4, 0.2)
_EVEN = (1.0, 1.0, 1.0, 1.0, 1.0, 1.1, 0.9)
_WEEKEND = (0.2, 0.2, 0.3, 0.3, 0.7, 2.8, 2.5)

LATTE_REGULAR = "latte regular"

# fmt: off
SEGMENTS = (
    Segment(
        LATTE_REGULAR, 0.28, 4.0, {"latte": 1.0}, {"croissant": 0.16, "muffin": 0.05},
        "LATTE", 0.7, (0.12, 0.3), _WORKDAYS, 0.0, 8.5,
    ),
    Segment(
        "black coffee", 0.30, 2.6,
        {"espresso": 0.74, "americano": 0.12, "double espresso": 0.08, "filter coffee": 0.06},
        {"croissant": 0.3, "bagel": 0.04},
        "BLACK COFFEE", 0.3, (0.05, 0.15), _WORKDAYS, 0.0, 7.8,
    ),
    Segment(
        "tea and pastry", 0.16, 6.0, {"earl grey": 0.45, "green tea": 0.3, "peppermint tea": 0.25},
        {"croissant": 0.35, "carrot cake": 0.15, "scone": 0.12, "cheesecake": 0.06},
        "TEA", 0.4, (0.05, 0.2), _EVEN, 0.0, 15.0,
    ),
    Segment(
        "weekend family", 0.14, 8.0, {"cappuccino": 0.6, "flat white": 0.25, "hot chocolate": 0.15},
        {"kids chocolate": 0.5, "croissant": 0.5, "muffin": 0.4, "pain au chocolat": 0.25, "banana bread": 0.1},
        "CAKE", 0.4, (0.05, 0.15), _WEEKEND, 0.8, 10.5,
    ),
    Segment(
        "beans buyer", 0.12, 17.0, {"house beans": 0.6, "ethiopia beans": 0.2, "colombia beans": 0.2},
        {"espresso": 0.5, "filter papers": 0.08},
        "BEANS", 0.5, (0.1, 0.3), _EVEN, 0.1, 12.0,
    ),
)
# fmt: on
"""Who comes in. Espresso and croissant lead the sales, so popularity alone never finds a latte-based drink."""

CAUSES = ("none", "moved", "bad experience", "price", "faded")
"""Why a customer stops, as the truth table names it; position = code in the simulation."""
