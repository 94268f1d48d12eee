"""Invented orders: the same for a seed, believable, fraud by the mechanism that is written down."""

import numpy as np
import pytest
from checkout.data import generate
from checkout.orders import Order


def test_a_seed_gives_the_same_orders_and_another_one_others() -> None:
    once, again, other = generate(50, 1), generate(50, 1), generate(50, 2)
    assert once.documents == again.documents
    assert (once.fraud == again.fraud).all()
    assert once.documents != other.documents


def test_the_shop_takes_every_order_as_it_is() -> None:
    for document in generate(500, 4).documents:
        order = Order.model_validate(document)
        assert order.model_extra == {}
        assert order.risk is None


def test_the_items_add_up_to_the_amount() -> None:
    for document in generate(500, 5).documents:
        total = sum(item["price"] * item["quantity"] for item in document["items"])
        assert document["amount"] == pytest.approx(total, abs=0.005)


def test_fraud_falls_as_often_as_its_probability_says() -> None:
    orders = generate(20_000, 6)
    for low, high in ((0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1)):
        there = (orders.probability >= low) & (orders.probability < high)
        chance = orders.probability[there]
        spread = np.sqrt((chance * (1 - chance)).sum())
        assert abs(orders.fraud[there].sum() - chance.sum()) < 4 * spread
    assert 0.07 < orders.fraud.mean() < 0.11
