"""How good a fraud model is: beside chance, beside the best there can be, and by the shop's own rule."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from checkout.data import Orders
from checkout.orders import HOLD_ABOVE


@dataclass(frozen=True)
class Quality:
    """How good a model is on orders it has never seen; shares run from 0 to 1."""

    #: How many orders it was asked about.
    orders: int
    #: The area under the ROC curve: how often, of a fraud and an honest order, the fraud scores higher.
    auc: float
    #: That of the mechanism which made the orders. No model can do better, but by luck.
    ceiling: float
    #: The share of fraud, and that of honest orders, with a score at which the shop holds them.
    fraud_held: float
    honest_held: float

    @classmethod
    def of(cls, held_out: Orders, scores: NDArray[np.float64]) -> "Quality":
        """Judge ``scores`` [n]."""
        held = scores > HOLD_ABOVE
        return cls(
            orders=len(held_out),
            auc=float(roc_auc_score(held_out.fraud, scores)),
            ceiling=float(roc_auc_score(held_out.fraud, held_out.probability)),
            fraud_held=float(held[held_out.fraud].mean()),
            honest_held=float(held[~held_out.fraud].mean()),
        )

    def sentences(self) -> list[str]:
        """Say it to people."""
        return [
            f"The fraud model: AUC {self.auc:.3f} on {self.orders:,} orders it never saw;"
            f" {self.ceiling:.3f} is the best that any could reach",
            f"Above {HOLD_ABOVE:g}: {self.fraud_held:.0%} of the fraud,"
            f" {self.honest_held:.1%} of the honest orders",
        ]
