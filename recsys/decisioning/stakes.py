"""From which probability of leaving on a contact pays: the threshold of least expected cost."""

from dataclasses import dataclass, replace
from typing import Self

from recsys.decisioning.serving import Serving
from recsys.settings import Settings


@dataclass(frozen=True, slots=True)
class Stakes:
    """What a contact costs and what it may save [currency].

    contact_cost  cost of reaching a customer once
    saved_value   what a customer who stays brings
    save_rate     share of those about to leave whom the contact keeps
    """

    contact_cost: float
    saved_value: float
    save_rate: float

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The stakes that the settings tell, None unless all three are told and a contact costs something."""
        saved, rate = settings.saved_value, settings.save_rate
        if saved is None or rate is None or settings.contact_cost <= 0:
            return None
        return cls(settings.contact_cost, saved, rate)

    @property
    def threshold(self) -> float:
        """Least P(left) for which a contact pays: cost / (rate · value); above 1 it never does.

        Contacting costs c and saves p · s · v in expectation, so c < p · s · v decides (Elkan, *The foundations of
        cost-sensitive learning*, IJCAI 2001, section 2). It needs p to be calibrated.
        """
        return self.contact_cost / (self.save_rate * self.saved_value)


def judged_by_cost(serving: Serving, settings: Settings) -> Serving:
    """`serving` whose churn model knows the threshold of the settings' stakes; the same without stakes or model."""
    stakes = Stakes.of(settings)
    if stakes is None or serving.churn is None:
        return serving
    return replace(serving, churn=replace(serving.churn, threshold=stakes.threshold))
