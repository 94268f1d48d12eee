"""What became of orders, in numbers and on a page."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from checkout.data import Orders, generate
from checkout.outcome import Answer, Fate, Outcome, compared
from checkout.page import write_page
from checkout.shopper import table
from checkout.story import check
from rich.console import Console


@pytest.fixture
def orders() -> Orders:
    made = generate(5, 1)
    for document, amount in zip(made.documents, (10.0, 20.0, 30.0, 40.0, 50.0), strict=True):
        document["amount"] = amount
    return Orders(made.documents, np.array([True, True, False, False, True]), made.probability)


@pytest.fixture
def alone(orders: Orders) -> Outcome:
    return Outcome("The shop alone", orders, [Answer("accepted", None, 0.001)] * 5)


@pytest.fixture
def scored(orders: Orders) -> Outcome:
    answers = [
        Answer("held", 0.9, 0.002),
        Answer("accepted", 0.7, 0.002),
        Answer("held", 0.85, 0.002),
        Answer("accepted", 0.1, 0.002),
        Answer(None, None, 0.004, "answered 503: <busy>"),
    ]
    return Outcome("With the sidecar", orders, answers)


SCORES = np.array([0.9, 0.7, 0.85, 0.1, 0.2], np.float32)


def test_each_order_has_a_fate(alone: Outcome, scored: Outcome) -> None:
    assert alone.fates == [Fate.THROUGH, Fate.THROUGH, Fate.FINE, Fate.FINE, Fate.THROUGH]
    assert scored.fates == [Fate.STOPPED, Fate.THROUGH, Fate.HINDERED, Fate.FINE, Fate.FAILED]
    assert (alone.worth(Fate.THROUGH), scored.worth(Fate.THROUGH, Fate.STOPPED)) == (80, 30)
    assert (alone.scored, scored.scored) == (0, 4)


def test_ways_to_the_shop_are_compared_figure_by_figure(alone: Outcome, scored: Outcome) -> None:
    rows = dict(compared([alone, scored]))
    assert rows["Fraud that got through"] == ["3, worth 80 EUR", "1, worth 20 EUR"]
    assert rows["Fraud that was held"] == ["0, worth 0 EUR", "1, worth 10 EUR"]
    assert rows["Honest orders held"] == ["0", "1"]
    assert rows["Orders not taken"] == ["0", "1"]
    assert rows["Median time to the answer"] == ["1.0 ms", "2.0 ms"]

    shown = io.StringIO()
    Console(file=shown, width=100).print(table([alone, scored]))
    assert "3, worth 80 EUR  1, worth 20 EUR" in shown.getvalue()


def test_what_is_wrong_is_told(alone: Outcome, scored: Outcome) -> None:
    assert check(alone, SCORES, with_score=False) == []
    assert check(scored, SCORES, with_score=False)[-1].endswith("4 orders had a score, and nobody to give it")
    assert check(scored, SCORES + 0.01, with_score=True) == [
        "With the sidecar: 1 orders were not taken, one answered 503: <busy>",
        "With the sidecar: only 4 of 5 orders had a score",
        "With the sidecar: a score is 0.01 away from the model's, more than 1e-05",
    ]
    assert check(alone, SCORES, with_score=True) == [
        "The shop alone: only 0 of 5 orders had a score",
        "The shop alone: no fraud was held",
    ]


class Elements(HTMLParser):
    """Counts elements, and classes of those that have one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.classes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.classes.extend(value or "" for name, value in attrs if name == "class")


def test_the_page_has_a_mark_for_every_order(alone: Outcome, scored: Outcome, tmp_path: Path) -> None:
    page = tmp_path / "new" / "checkout.html"
    write_page(page, ["a < b"], [alone, scored])
    text = page.read_text()
    assert "a &lt; b" in text
    assert text.count("<figure") == 2
    found = Elements(text)
    # Each kind is in the legend of its picture once, and beside each order that is listed.
    assert found.classes.count("through") == (3 + 1) + (1 + 1) + 1
    assert found.classes.count("hindered") == (1 + 1) + 1
    assert found.classes.count("failed") == (1 + 1) + 1
    assert found.classes.count("fine") == (2 + 1) + (1 + 1)
    assert 'aria-label="1 fraud that got through, 1 honest, but held' in text
    # What went wrong comes first: an order that was not taken, and the fraud that nobody noticed.
    listed = re.findall(r'<th scope="row">.*?</svg>([^<]+)</th>', text, re.DOTALL)
    assert listed == [Fate.FAILED, Fate.THROUGH, Fate.HINDERED, Fate.STOPPED]


def test_the_page_asks_nobody_for_anything(alone: Outcome, tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", [], [alone])
    text = (tmp_path / "page.html").read_text()
    assert not {"script", "link", "img", "iframe"} & set(Elements(text).tags)
    assert "http" not in text.replace("http-equiv", "")
