"""One self-contained page: every order as a mark, the figures, and the orders that went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from checkout.outcome import Fate, Outcome, compared

#: Marks in a row of the picture, and what one takes in each direction.
_ACROSS, _STEP = 40, 12

#: Class names of the style sheet.
_MARKS = {
    Fate.THROUGH: "through",
    Fate.HINDERED: "hindered",
    Fate.STOPPED: "stopped",
    Fate.FAILED: "failed",
    Fate.FINE: "fine",
}

_LISTED = (Fate.FAILED, Fate.THROUGH, Fate.HINDERED, Fate.STOPPED)


@dataclass(frozen=True)
class _Mark:
    kind: str
    x: int
    y: int


def write_page(file: Path, summary: Sequence[str], outcomes: Sequence[Outcome]) -> None:
    """Write the page; ``outcomes`` are ways to the shop, of which the last is listed order by order."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(render(summary, outcomes), encoding="utf-8")


def render(summary: Sequence[str], outcomes: Sequence[Outcome]) -> str:
    """The page as text."""
    templates = Environment(
        loader=PackageLoader("checkout"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("summary.html").render(
        summary=summary,
        pictures=[_picture(outcome) for outcome in outcomes],
        names=[outcome.name for outcome in outcomes],
        rows=compared(outcomes),
        last=outcomes[-1].name,
        listed=_listed(outcomes[-1]),
        marks=_MARKS,
    )


def _picture(outcome: Outcome) -> dict[str, Any]:
    """One mark for each order, those of a kind side by side: areas can be compared."""
    order = list(_MARKS)
    fates = sorted(outcome.fates, key=order.index)
    marks = [
        _Mark(_MARKS[fate], turn % _ACROSS * _STEP, turn // _ACROSS * _STEP)
        for turn, fate in enumerate(fates)
    ]
    rows = -(-len(marks) // _ACROSS)
    legend = [(fate, outcome.count(fate)) for fate in order if outcome.count(fate)]
    return {
        "name": outcome.name,
        "marks": marks,
        "width": _ACROSS * _STEP,
        "height": rows * _STEP,
        "legend": legend,
        "lost": outcome.worth(Fate.THROUGH),
        "description": ", ".join(f"{count} {fate}" for fate, count in legend),
    }


def _listed(outcome: Outcome) -> list[dict[str, Any]]:
    rows = [
        {"order": document, "fate": fate, "risk": answer.risk}
        for document, fate, answer in zip(
            outcome.orders.documents, outcome.fates, outcome.answers, strict=True
        )
        if fate in _LISTED
    ]
    return sorted(rows, key=lambda row: (_LISTED.index(row["fate"]), -row["order"]["amount"]))
