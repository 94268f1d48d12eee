"""The shop's orders: what one must say, when it is held back, and the book that keeps the latest."""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: Somebody looks at an order that is riskier than this before it is packed.
HOLD_ABOVE = 0.8

#: How many orders the book keeps; the oldest makes room.
KEPT = 1000

#: What the book keeps of things it does not know: so many notes of an order, so many characters of each.
NOTES, NOTE_CHARACTERS = 16, 200

Text = Annotated[str, Field(min_length=1, max_length=64)]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]
Count = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class Item(_Strict):
    """A line of an order."""

    sku: Text
    quantity: Annotated[int, Field(ge=1, le=1000)]
    price: Count


class Card(_Strict):
    """What the shop keeps of a card: never its number."""

    #: The digits that name the bank.
    bin: Annotated[str, Field(pattern="^[0-9]{6,8}$")]
    country: Country
    #: Days since it was first used here.
    age_days: Count


class Account(_Strict):
    """Who orders."""

    age_days: Count


class Address(_Strict):
    """Where it goes."""

    country: Country


class Order(BaseModel):
    """An order as it comes in. What it says beyond this is kept as a note."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    customer: Text
    account: Account | None = None
    amount: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    items: Annotated[list[Item], Field(min_length=1, max_length=100)]
    card: Card
    ship_to: Address
    ip_country: Country
    #: From the first page to the order.
    session_seconds: Count | None = None
    #: From 0 to 1, by whoever looked at the order; the office filled it in by hand once.
    risk: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None

    @property
    def status(self) -> str:
        """Whether it is packed at once."""
        return "held" if self.risk is not None and self.risk > HOLD_ABOVE else "accepted"


@dataclass(frozen=True)
class Placed:
    """An order in the book."""

    number: int
    at: datetime
    order: Order
    #: What came with the order and means nothing to the shop, by name.
    notes: Mapping[str, str]


class Book:
    """The latest orders, for several threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._placed: OrderedDict[int, Placed] = OrderedDict()
        self._last = 1000
        self._lock = threading.Lock()

    def place(self, order: Order, headers: Mapping[str, str], at: datetime) -> Placed:
        """Enter an order, with those of its headers that start with X-."""
        notes = _notes(order, headers)
        with self._lock:
            self._last += 1
            placed = Placed(self._last, at, order, notes)
            self._placed[placed.number] = placed
            if len(self._placed) > self._kept:
                self._placed.popitem(last=False)
        return placed

    def find(self, number: int) -> Placed | None:
        """Return an order, unless there is none of this number any more."""
        with self._lock:
            return self._placed.get(number)

    def latest(self) -> list[Placed]:
        """Return all orders, the newest first."""
        with self._lock:
            return list(reversed(self._placed.values()))


def _notes(order: Order, headers: Mapping[str, str]) -> dict[str, str]:
    fields = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in (order.model_extra or {}).items()
    }
    extra = {name.lower(): value for name, value in headers.items() if name.lower().startswith("x-")}
    return {
        name[:NOTE_CHARACTERS]: value[:NOTE_CHARACTERS]
        for name, value in [*fields.items(), *extra.items()][:NOTES]
    }
