"""Invented orders, some of them fraud: seeded, of no real person, shop or card.

The mechanism, so that whoever trains on them knows what there is to be learnt:

1. Most orders are a regular customer's. One in eight (``UNUSUAL``) is out of the ordinary: a new account, a
   card that was never seen before, dear goods, little time spent, countries that do not agree. Thieves look
   like that, and so do honest people who travel, move house or buy a present.
2. The log-odds of fraud are a sum over the order (``log_odds``). What weighs most is a young card together
   with a browser or an address in another country; neither alone says much.
3. A coin with these odds decides. So the same order may be fraud or not, and no model can know all of it: the
   best possible one says ``Orders.probability``.

One order in eleven is fraud, some twenty times what real shops see, so that a short demonstration meets some.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: An order as the shop takes it.
Document = dict[str, Any]

UNUSUAL = 0.125

_COUNTRIES = np.array(["DE", "FR", "NL", "AT", "PL", "SE", "ES", "IT"])
_SHARES = np.array([0.34, 0.16, 0.12, 0.10, 0.09, 0.07, 0.06, 0.06])

#: From cheap to dear: what an order may hold, and what one of it costs in euros.
_GOODS = (
    ("TEA-ASSAM-100", 6.90),
    ("TEA-SENCHA-100", 9.40),
    ("FILTER-100", 4.50),
    ("COFFEE-1000", 24.80),
    ("CUPS-2", 18.00),
    ("TEAPOT-IRON", 58.00),
    ("KETTLE-COPPER", 89.00),
    ("GRINDER-HAND", 129.00),
    ("KETTLE-ELECTRIC", 149.00),
    ("GRINDER-60MM", 389.00),
    ("ESPRESSO-SINGLE", 649.00),
    ("ESPRESSO-DUAL", 1490.00),
)


@dataclass(frozen=True)
class Orders:
    """Orders beside what only time would tell."""

    documents: list[Document]
    #: BOOL [n]: whether the order is fraud.
    fraud: NDArray[np.bool_]
    #: FP64 [n]: how probable that was, from 0 to 1; the coin's odds, which no shop would know.
    probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.documents)


def generate(count: int, seed: int) -> Orders:
    """Return ``count`` orders, the same ones for the same seed."""
    random = np.random.default_rng(seed)
    unusual = random.random(count) < UNUSUAL

    def either(rare: NDArray[Any], common: NDArray[Any]) -> NDArray[Any]:
        return np.where(unusual, rare, common)

    card_country = random.choice(_COUNTRIES, count, p=_SHARES)
    elsewhere = random.choice(_COUNTRIES, (2, count), p=_SHARES)
    abroad, sent_abroad = random.random((2, count)) < np.where(unusual, 0.55, 0.05)
    ip_country = np.where(abroad, elsewhere[0], card_country)
    ship_country = np.where(sent_abroad, elsewhere[1], card_country)
    card_age = np.floor(either(random.exponential(6, count), random.lognormal(5.6, 1.1, count))).clip(0, 4000)
    account_age = np.floor(either(random.exponential(15, count), random.lognormal(6.0, 1.2, count))).clip(
        0, 4000
    )
    seconds = np.floor(either(random.lognormal(3.8, 0.8, count), random.lognormal(5.4, 0.7, count))).clip(
        4, 7200
    )
    items = [_basket(random, bool(rare)) for rare in unusual]
    amount = np.array(
        [round(sum(item["price"] * item["quantity"] for item in basket), 2) for basket in items]
    )

    odds = log_odds(
        amount, card_age, account_age, seconds, ip_country != card_country, ship_country != card_country
    )
    probability = 1 / (1 + np.exp(-odds))
    documents = [
        {
            "customer": f"C-{random.integers(10_000, 100_000)}",
            "account": {"age_days": int(account_age[i])},
            "amount": float(amount[i]),
            "currency": "EUR",
            "items": items[i],
            # No bank issues cards whose number starts with 999.
            "card": {
                "bin": f"999{random.integers(1000):03}",
                "country": str(card_country[i]),
                "age_days": int(card_age[i]),
            },
            "ship_to": {"country": str(ship_country[i])},
            "ip_country": str(ip_country[i]),
            "session_seconds": int(seconds[i]),
        }
        for i in range(count)
    ]
    return Orders(documents, random.random(count) < probability, probability)


def log_odds(
    amount: NDArray[np.float64],
    card_age_days: NDArray[np.float64],
    account_age_days: NDArray[np.float64],
    session_seconds: NDArray[np.float64],
    ip_differs: NDArray[np.bool_],
    ship_differs: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the natural logarithm of the odds of fraud; all arguments and the result are [n]."""
    young = np.exp(-card_age_days / 10)
    odds: NDArray[np.float64] = (
        -6.2
        + 1.3 * np.log(amount / 80).clip(-2, 3)
        + 1.0 * young
        + 0.6 * ip_differs
        + 0.4 * ship_differs
        + 4.6 * young * (ip_differs | ship_differs)
        + 2.0 * np.exp(-account_age_days / 20)
        + 3.0 * np.exp(-session_seconds / 45)
    )
    return odds


def _basket(random: np.random.Generator, unusual: bool) -> list[dict[str, Any]]:
    weights = np.linspace(0.3, 1.6, len(_GOODS)) if unusual else np.linspace(1.6, 0.05, len(_GOODS))
    size = random.integers(1, 3 if unusual else 5)
    chosen = random.choice(len(_GOODS), size, replace=False, p=weights / weights.sum())
    return [
        {"sku": _GOODS[good][0], "quantity": int(random.integers(1, 3)), "price": _GOODS[good][1]}
        for good in sorted(chosen)
    ]
