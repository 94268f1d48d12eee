"""What became of orders, held against what only time would tell: counts, money, sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from checkout.data import Orders


class Fate(StrEnum):
    """What an answer was worth. From bad to good."""

    THROUGH = "fraud that got through"
    HINDERED = "honest, but held"
    STOPPED = "fraud that was held"
    FINE = "honest and accepted"
    FAILED = "not taken"


@dataclass(frozen=True)
class Answer:
    """What the shop said to one order."""

    #: accepted or held; None if the order was not taken, for the reason in ``problem``.
    status: str | None
    #: From 0 to 1, if the order had one when the shop saw it.
    risk: float | None
    #: From sending to the answer.
    seconds: float
    problem: str = ""


@dataclass(frozen=True)
class Outcome:
    """One way to the shop: the orders that went along it and an answer to each."""

    name: str
    orders: Orders
    answers: Sequence[Answer]

    @property
    def fates(self) -> list[Fate]:
        """What became of each order."""
        return [
            _fate(answer, bool(fraud)) for answer, fraud in zip(self.answers, self.orders.fraud, strict=True)
        ]

    @property
    def problems(self) -> list[str]:
        """Why orders were not taken."""
        return [answer.problem for answer in self.answers if answer.status is None]

    @property
    def scored(self) -> int:
        """How many orders had a risk when the shop saw them."""
        return sum(answer.risk is not None for answer in self.answers)

    def count(self, *fates: Fate) -> int:
        """How many orders met one of these fates."""
        return sum(fate in fates for fate in self.fates)

    def worth(self, *fates: Fate) -> float:
        """What the orders that met one of these fates cost together, in euros."""
        amounts = (document["amount"] for document in self.orders.documents)
        return float(sum(amount for amount, fate in zip(amounts, self.fates, strict=True) if fate in fates))

    def milliseconds(self, share: float) -> float:
        """Return the time that ``share`` percent of the answers stayed within."""
        return float(np.percentile([answer.seconds for answer in self.answers], share) * 1000)

    def figures(self) -> dict[str, str]:
        """Return what there is to compare, by what it is."""
        return {
            "Orders accepted": f"{self.count(Fate.THROUGH, Fate.FINE):,}",
            "Orders held": f"{self.count(Fate.STOPPED, Fate.HINDERED):,}",
            "Orders not taken": f"{self.count(Fate.FAILED):,}",
            "Orders with a score": f"{self.scored:,}",
            "Fraud that got through": self._fraud(Fate.THROUGH),
            "Fraud that was held": self._fraud(Fate.STOPPED),
            "Honest orders held": f"{self.count(Fate.HINDERED):,}",
            "Median time to the answer": f"{self.milliseconds(50):.1f} ms",
        }

    def _fraud(self, fate: Fate) -> str:
        return f"{self.count(fate):,}, worth {self.worth(fate):,.0f} EUR"


def compared(outcomes: Sequence[Outcome]) -> list[tuple[str, list[str]]]:
    """Return rows of a table: what is compared, and each outcome's figure."""
    figures = [outcome.figures() for outcome in outcomes]
    return [(name, [each[name] for each in figures]) for name in figures[0]] if figures else []


def _fate(answer: Answer, fraud: bool) -> Fate:
    match answer.status:
        case None:
            return Fate.FAILED
        case "held":
            return Fate.STOPPED if fraud else Fate.HINDERED
        case _:
            return Fate.THROUGH if fraud else Fate.FINE
