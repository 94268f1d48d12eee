"""What the shop keeps, and for how long."""

from datetime import UTC, datetime

from checkout.data import generate
from checkout.orders import NOTES, Book, Order

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ORDERS = [Order.model_validate(document) for document in generate(5, 1).documents]


def test_the_oldest_order_makes_room() -> None:
    book = Book(kept=3)
    numbers = [book.place(order, {}, NOON).number for order in ORDERS]
    assert [placed.number for placed in book.latest()] == numbers[:1:-1]
    assert [book.find(number) is None for number in numbers] == [True, True, False, False, False]


def test_an_order_has_so_many_notes_and_no_more() -> None:
    placed = Book().place(ORDERS[0], {f"X-{number}": "1" for number in range(100)}, NOON)
    assert list(placed.notes) == [f"x-{number}" for number in range(NOTES)]
