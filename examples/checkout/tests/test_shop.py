"""The shop as its customers meet it: a process, over HTTP."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from checkout.data import Document, generate
from support.shop import Shop


def test_an_order_is_taken_and_can_be_looked_up(shop: Shop, document: Document) -> None:
    answer = shop.order(document)
    assert answer.status == 201
    number = answer.json["id"]
    assert answer.json == {"id": number, "status": "accepted", "risk": None}
    assert answer.headers["Location"] == f"/orders/{number}"

    kept = shop.ask("GET", f"/orders/{number}").json
    assert kept["order"] == {**document, "risk": None}
    assert (kept["id"], kept["status"], kept["notes"]) == (number, "accepted", {})


@pytest.mark.parametrize(
    ("risk", "status"), [(0, "accepted"), (0.8, "accepted"), (0.81, "held"), (1, "held")]
)
def test_what_is_too_risky_is_held(shop: Shop, document: Document, risk: float, status: str) -> None:
    answer = shop.order({**document, "risk": risk})
    assert answer.json["status"] == status
    assert answer.json["risk"] == risk


def test_what_the_shop_does_not_know_becomes_a_note(shop: Shop, document: Document) -> None:
    extra = {"fraud": {"model": "fraud", "score": 0.25}, "gift": "yes"}
    answer = shop.order({**document, **extra}, {"X-Fraud-Score": "0.25", "X-Long": "y" * 500, "Other": "1"})
    kept = shop.ask("GET", answer.headers["Location"]).json
    assert json.loads(kept["notes"].pop("fraud")) == extra["fraud"]
    assert kept["notes"] == {"gift": "yes", "x-fraud-score": "0.25", "x-long": "y" * 200}
    assert "fraud" not in kept["order"]
    assert kept["status"] == "accepted"


def test_an_order_may_come_in_chunks(shop: Shop, document: Document) -> None:
    body = json.dumps({**document, "risk": 0.9}).encode()
    answer = shop.ask("POST", "/orders", iter([body[:50], body[50:]]))
    assert (answer.status, answer.json["status"]) == (201, "held")


_WRONG: list[tuple[Callable[[Document], Any], str]] = [
    (lambda it: {**it, "amount": -1}, "amount: Input should be greater than 0, found -1"),
    (lambda it: {**it, "amount": "12"}, "amount: Input should be a valid number, found '12'"),
    (lambda it: {**it, "risk": 1.5}, "risk: Input should be less than or equal to 1, found 1.5"),
    (lambda it: {**it, "items": []}, "items: List should have at least 1 item after validation, not 0"),
    (lambda it: {**it, "card": {**it["card"], "country": "Germany"}}, "card.country: "),
    (lambda it: {key: it[key] for key in it if key != "card"}, "card: Field required"),
    (lambda it: {"amount": it["amount"]}, "ship_to: Field required; and 1 more"),
    (lambda it: [it], "the order: "),
    (lambda it: {**it, "amount": float("nan")}, "amount: "),
]


@pytest.mark.parametrize(("spoil", "error"), _WRONG, ids=range(len(_WRONG)))
def test_a_wrong_order_is_refused_and_told_why(
    shop: Shop, document: Document, spoil: Callable[[Document], Any], error: str
) -> None:
    before = shop.ask("GET", "/").text
    answer = shop.order(spoil(document))
    assert answer.status == 400
    assert error in answer.json["error"]
    assert shop.ask("GET", "/").text == before


def test_what_is_no_json_is_refused(shop: Shop) -> None:
    answer = shop.ask("POST", "/orders", b"amount=12")
    assert answer.status == 400
    assert answer.json["error"].startswith("the order: Invalid JSON")


def test_too_much_is_refused(shop: Shop, document: Document) -> None:
    assert shop.order({**document, "gift": "y" * 70_000}).status == 413


def test_other_paths_and_methods_are_refused_in_json(shop: Shop) -> None:
    assert shop.ask("GET", "/orders/7").json == {"error": "there is no order 7, or no longer"}
    assert [shop.ask(*each).status for each in (("GET", "/orders/7"), ("GET", "/x"), ("PUT", "/orders"))] == [
        404,
        404,
        405,
    ]
    assert "error" in shop.ask("GET", "/x").json


def test_the_page_shows_orders_and_their_risk(new_shop: Shop, document: Document) -> None:
    assert "No order yet" in new_shop.ask("GET", "/").text
    new_shop.order(document)
    new_shop.order({**document, "risk": 0.93, "fraud": "<script>"}, {"X-Fraud-Score": "0.93"})
    page = new_shop.ask("GET", "/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.text.index("0.93") < page.text.index("accepted</span>")
    assert "x-fraud-score" in page.text
    assert "<dd>&lt;script&gt;</dd>" in page.text
    assert "All 2</a>" in page.text

    held = new_shop.ask("GET", "/?status=held").text
    assert held.count("<tr>") == 1 + 1
    assert 'aria-current="page">Held 1</a>' in held
    assert new_shop.ask("GET", "/?status=%3Cb%3E").text.count("<tr>") == 1 + 2


def test_callers_at_once_get_numbers_of_their_own(shop: Shop) -> None:
    documents = generate(40, 9).documents
    with ThreadPoolExecutor(8) as pool:
        numbers = [answer.json["id"] for answer in pool.map(shop.order, documents)]
    assert len(set(numbers)) == 40
    for number, document in zip(numbers, documents, strict=True):
        assert shop.ask("GET", f"/orders/{number}").json["order"]["customer"] == document["customer"]


def test_the_shop_knows_nothing_of_models() -> None:
    strange = {"infermesh", "infermesh_native", "onnx", "onnxruntime", "grpc", "numpy", "sklearn"}
    script = f"import sys, checkout.shop; print(*{{name.split('.')[0] for name in sys.modules}} & {strange})"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == ""
