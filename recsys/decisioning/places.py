"""Where the numbers stand that the kernels of scores take and give, each in one float64 array."""

from recsys.models.predictive import LEVELS, PROBABILITIES
from recsys.models.value import FORETOLD

(ORDERS, CHURN, P_ALIVE, GROWN, BOUGHT, SOON, MIDDLE, LATE) = range(8)
"""Visible orders; P(churn); P(alive); purchases of a year over those of the value model's horizon; purchase days, and
days to the next one (ends and median of the 80% window)."""

(PAST, COSTED, LEFT, FAR, NEAR, NOW, REPEATS, AGE) = range(8, 16)
"""`recsys.decisioning.books.historic`; `recsys.decisioning.worth.flow_of`; x and T of the customer's `Summary`."""

TOLD = 16
COUNTS, AMOUNTS = TOLD + 2, TOLD + 2 + len(PROBABILITIES)
MEDIAN = PROBABILITIES.index(0.5)
MEDIAN_ORDERS = COUNTS + MEDIAN
LOWEST, HIGHEST = TOLD + FORETOLD, TOLD + FORETOLD + 1
"""What `recsys.models.value.foretold_row` gives begins at TOLD, its quantiles of orders and of spend at COUNTS and
AMOUNTS, MEDIAN of them the middle one; ends of the 80% interval of spend [minor units]."""

SPEND = HIGHEST + 1
SPEND_LOW, SPEND_HIGH, YEAR_SPEND, MEDIAN_SPEND, INTERVALS = range(SPEND + 1, SPEND + 6)
"""Expected spend, its 80% interval, that of a year, its median [currency]; low and high spend [currency] and orders of
each of LEVELS."""

WORTH = INTERVALS + 4 * len(LEVELS)
MARGINS, COST, OPEN_COST, MARGIN = WORTH + 3, WORTH + 8, WORTH + 9, WORTH + 10
"""Of `Worth` historic, future and total spend; from MARGINS on margin_share and the four margins; acquisition cost
[currency]. What of it is not earned yet, and the expected margin [minor units]."""

N_NUMBERS = MARGIN + 1

(CHURN_DAYS, VALUE_DAYS, WORTH_DAYS, DAILY, MINOR, HAS_COSTS, HAS_CHURN, HAS_VALUE) = range(8)
"""Terms: horizons of the models and days of worth [days], exponent of the discount rate, minor units of one of the
currency; whether a unit cost is known, and whether there is a model made for kernels."""

(USUAL, SHARE, STRANGER_COST, YEAR_TIMES, YEAR_MOST, WORTH_TIMES, WORTH_MOST) = range(8, 15)
"""Terms: `usual` and `margin` of the books, the acquisition cost of who was not imported [minor units]; what
`recsys.models.value.carrying` gives for a year, and for the days of worth."""

N_TERMS = 15
