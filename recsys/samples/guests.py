"""The guests of the simulated café: what each likes (`Tastes`) and when each comes and stops coming (`Life`)."""

from dataclasses import dataclass, fields
from math import gamma
from typing import Self

import numpy as np
import numpy.typing as npt

from recsys.samples.menu import CAUSES, MENU, NAMES, PRICE_RISE_DAY, SEGMENTS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STRAY = 0.015
"""P(main item is anything on the menu): people also buy for others."""
NEVER = 10**6
"""Day of what does not happen."""
_MONTH = 30.4


@dataclass(frozen=True, slots=True, eq=False)
class Tastes:
    """What guests like; n guests, k items in menu order.

    segment    (n,)    index into `SEGMENTS`
    favourite  (n,)    item that takes the place of one not yet on the menu
    main       (n, k)  P(the visit's main item is this one), rows sum to 1, as if everything were on the menu
    extras     (n, k)  P(item is added to a visit) at full appetite
    party      (n,)    mean number of main items beyond the first
    curiosity  (n,)    P(main item is another one of the home family)
    hour       (n,)    usual hour of the visit
    """

    segment: Ints
    favourite: Ints
    main: Floats
    extras: Floats
    party: Floats
    curiosity: Floats
    hour: Floats

    def of(self, kept: Ints) -> Self:
        """The guests at positions `kept`."""
        return type(self)(**{field.name: getattr(self, field.name)[kept] for field in fields(self)})


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """When guests come; n guests, days of the simulation.

    scale, shape    (n,)    Weibull baseline of the gap between visits: τ [days] and k (k > 1: regular)
    weekday         (n, 7)  weight of Monday … Sunday
    arrival         (n,)    day of the first visit; -1: a guest from before
    since_at_start  (n,)    days since the last visit on day 0, of guests from before
    cause           (n,)    why the guest stops, index into `CAUSES`
    turn            (n,)    day the cause strikes, NEVER if none does
    stop            (n,)    first day without any visit, NEVER if none
    """

    scale: Floats
    shape: Floats
    weekday: Floats
    arrival: Ints
    since_at_start: Ints
    cause: Ints
    turn: Ints
    stop: Ints

    def of(self, kept: Ints) -> Self:
        """The guests at positions `kept`."""
        return type(self)(**{field.name: getattr(self, field.name)[kept] for field in fields(self)})


def draw_tastes(draw: np.random.Generator, n: int) -> Tastes:
    """Tastes of `n` guests: a segment's tastes, made each guest's own by Dirichlet and gamma draws."""
    shares = np.array([segment.share for segment in SEGMENTS])
    segment = draw.choice(len(SEGMENTS), size=n, p=shares / shares.sum())
    curiosity = _curiosity(draw, segment)
    liked = _own_mix(draw, _table("favourites")[segment] * 12.0)
    favourite = liked.argmax(axis=1)
    home = np.array([[dish.family == each.home for dish in MENU] for each in SEGMENTS], np.float64)[segment]
    home[np.arange(n), favourite] = 0.0
    explored = _own_mix(draw, home * 1.5)
    main = (1 - curiosity[:, None] - STRAY) * liked + curiosity[:, None] * explored + STRAY * _anything()
    extras = np.clip(_table("extras")[segment] * draw.gamma(4.0, 0.25, (n, len(MENU))), 0.0, 0.95)
    party = np.array([each.party for each in SEGMENTS])[segment]
    hour = np.array([each.opening for each in SEGMENTS])[segment] + draw.normal(0.0, 0.6, n)
    return Tastes(segment, favourite, main, extras, party, curiosity, hour)


def _table(field: str) -> Floats:
    """A field of all segments by item, (n_segments, k)."""
    return np.array([[getattr(segment, field).get(name, 0.0) for name in NAMES] for segment in SEGMENTS])


def _own_mix(draw: np.random.Generator, weights: Floats) -> Floats:
    """Rows of Dirichlet draws; items of weight 0 stay at 0."""
    drawn = np.where(weights > 0, draw.standard_gamma(np.maximum(weights, 1e-9)), 0.0)
    mix: Floats = drawn / drawn.sum(axis=1, keepdims=True)
    return mix


def _anything() -> Floats:
    """What a stray purchase is: as popular as the segments make it, (k,)."""
    shares = np.array([[segment.share / segment.gap] for segment in SEGMENTS])
    weight = (shares * (_table("favourites") + _table("extras"))).sum(axis=0) + 0.002
    mixed: Floats = weight / weight.sum()
    return mixed


def _curiosity(draw: np.random.Generator, segment: Ints) -> Floats:
    low, high = (np.array([each.curiosity[end] for each in SEGMENTS])[segment] for end in (0, 1))
    curious = draw.random(len(segment)) < np.array([each.curious for each in SEGMENTS])[segment]
    return np.where(curious, low + (high - low) * draw.random(len(segment)), 0.03)


def draw_life(draw: np.random.Generator, segment: Ints, days: int, total: int) -> Life:
    """Rhythm, arrival and end of each guest; 60% are guests from before day 0, the others arrive within `days`."""
    n = len(segment)
    gap = np.array([each.gap for each in SEGMENTS])[segment] * np.exp(draw.normal(0.0, 0.45, n))
    shape = draw.uniform(1.0, 2.5, n)
    scale = gap / np.array([gamma(1 + 1 / k) for k in shape])
    arrival = np.where(draw.random(n) < 0.6, -1, draw.integers(0, days, n))
    since = 1 + (draw.random(n) * gap).astype(np.int64)
    cause, turn, stop = _ends(draw, arrival, total)
    return Life(
        scale=scale,
        shape=shape,
        weekday=np.array([each.weekday for each in SEGMENTS])[segment],
        arrival=arrival,
        since_at_start=since,
        cause=cause,
        turn=turn,
        stop=stop,
    )


def _ends(draw: np.random.Generator, arrival: Ints, total: int) -> tuple[Ints, Ints, Ints]:
    """Cause, turn and stop: of the competing causes the one that would end it first; NEVER beyond `total` days."""
    n = len(arrival)
    born = np.maximum(arrival, 0)
    moved = born + draw.exponential(70 * _MONTH, n)
    bad = born + draw.exponential(90 * _MONTH, n)
    faded = born + draw.exponential(90 * _MONTH, n)
    sensitive = (draw.random(n) < 0.1) & (born < PRICE_RISE_DAY)
    price = np.where(sensitive, PRICE_RISE_DAY, NEVER)
    turns = np.stack([moved, bad, price, faded], axis=1).astype(np.int64)
    lasts = np.stack([0 * born, *(draw.integers(*ends, n) for ends in ((7, 35), (20, 70), (40, 80)))], axis=1)
    stops = turns + lasts
    first = stops.argmin(axis=1)
    turn, stop = turns[np.arange(n), first], stops[np.arange(n), first]
    ends = stop < total
    return np.where(ends, first + 1, 0), np.where(ends, turn, NEVER), np.where(ends, stop, NEVER)


def vigour(life: Life, day: int) -> Floats:
    """Factor on the visit hazard, (n,): 1 in good times, less from the turn on, 0 before arrival and from the stop."""
    turned = day >= life.turn
    slow = np.choose(life.cause, [1.0, 1.0, 0.6, 0.6, 1.0])
    fading = np.clip((life.stop - day) / np.maximum(life.stop - life.turn, 1), 0.15, 1.0)
    slow = np.where(life.cause == CAUSES.index("faded"), fading, slow)
    factor: Floats = np.where(turned, slow, 1.0) * (day >= life.arrival) * (day < life.stop)
    return factor


def appetite(life: Life, who: Ints, when: Ints) -> Floats:
    """Factor on the extras of the visits of guests `who` on days `when`: baskets shrink after a bad experience."""
    hurt = (life.cause[who] == CAUSES.index("bad experience")) & (when >= life.turn[who])
    return np.where(hurt, 0.3, 1.0)


def visit_chance(life: Life, since: Ints, day: int, weekday: int) -> Floats:
    """P(visit on `day`) of each guest whose last visit was `since` days ago; `since` (n,) gives (n,), (g, n) (g, n)."""
    risen = (since / life.scale) ** life.shape - ((since - 1) / life.scale) ** life.shape
    chance: Floats = -np.expm1(-risen * life.weekday[:, weekday] * vigour(life, day))
    return chance


def launched(day: Ints) -> npt.NDArray[np.bool_]:
    """Which items are on the menu on each of the days, (len(day), k)."""
    return day[:, None] >= np.array([dish.launch_day for dish in MENU])


def main_item(tastes: Tastes, who: Ints, when: Ints, uniform: Floats) -> Ints:
    """Main item of each visit by inverse transform of `uniform` in [0, 1); one not yet on the menu → the favourite."""
    chosen = (np.cumsum(tastes.main, axis=1)[who] <= uniform[:, None]).sum(axis=1).clip(max=len(MENU) - 1)
    known = launched(when)[np.arange(len(who)), chosen]
    return np.where(known, chosen, tastes.favourite[who])
