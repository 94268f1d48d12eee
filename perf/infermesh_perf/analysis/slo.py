"""Objectives as people write them: `p99<20ms,errors<0.1%,throughput>1000/s`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import cast

from infermesh_perf.analysis.contradictions import refuse_contradictions
from infermesh_perf.analysis.limits import Comparison, Judgement, Limit, Metric, judge
from infermesh_perf.errors import SetupError
from infermesh_perf.results.document import Level

EXAMPLE = "write limits such as p99<20ms,errors<0.1%,throughput>1000/s"

#: The share of requests that may fail where an objective does not name errors and no percentile asks for
#: less.
IMPLIED_ERRORS = 0.01

_TERM = re.compile(
    r"(?P<name>[a-z]+)(?P<percentile>[-+\d.]*)\s*"
    r"(?P<comparison><=|>=|<|>)\s*"
    r"(?P<number>[-+]?(\d+(\.\d*)?|\.\d+))\s*(?P<unit>\S*)"
)
# The micro sign and the Greek letter look the same and are both typed.
_TIMES = {"ns": 1.0, "us": 1e3, "\u00b5s": 1e3, "\u03bcs": 1e3, "ms": 1e6, "s": 1e9}
_SHARES = {"%": 0.01, "": 1.0}
_RATES = {"/s": 1.0}


@dataclass(frozen=True)
class Objective:
    """Limits that must all hold."""

    text: str
    limits: tuple[Limit, ...]

    @property
    def needs_percentile(self) -> float | None:
        """The highest percentile that is limited, which decides how many requests are needed, or None."""
        return max((limit.percentile for limit in self.limits if limit.percentile is not None), default=None)

    @property
    def implied_errors(self) -> Limit | None:
        """The limit on errors of an objective that does not name one; None if it does.

        Latency is that of good answers. A server that fails half of its requests would meet any `p99<20ms`,
        so failures may be no more than what that percentile leaves to chance, and never above 1 %.
        """
        if any(limit.metric == "errors" for limit in self.limits):
            return None
        rest = 1.0 if self.needs_percentile is None else round((100 - self.needs_percentile) / 100, 12)
        share = min(IMPLIED_ERRORS, rest)
        return Limit("errors", None, "<=", share, f"errors<={100 * share:g}% (implied)")

    def judge(self, level: Level) -> list[Judgement]:
        """One judgement for each limit in the order of the text, then that on implied errors."""
        implied = self.implied_errors
        limits = self.limits if implied is None else (*self.limits, implied)
        return [judge(limit, level) for limit in limits]

    def refuse_lower_limits(self) -> None:
        """For a search: it raises the load until a limit breaks, so no limit may be broken by a low load.

        Raises SetupError that names the limit.
        """
        for limit in self.limits:
            if not limit.upper:
                raise SetupError(
                    f"objective {self.text!r}: {limit.text!r} is a lower limit, expected upper ones: "
                    "a search looks for the highest load that keeps them",
                    hint="leave it out and compare what the search finds",
                )


def parse(text: str) -> Objective:
    """Read an objective: `METRIC COMPARISON NUMBER UNIT`, separated by commas.

    Metrics are percentiles of the latency (`p50`, `p99.9`), `mean`, `max`, `errors` and `throughput`;
    comparisons `<`, `<=`, `>`, `>=`; units `ns`, `us`, `ms`, `s` for latency, `%` or none (a share of 1) for
    errors, `/s` for throughput. Raises SetupError that shows the place for anything else, for limits that
    nothing or everything meets, and for limits that exclude each other.
    """
    if not text.strip():
        raise SetupError("the objective is empty, expected at least one limit", hint=EXAMPLE)
    limits, start = [], 0
    for part in text.split(","):
        limits.append(_limit(text, start, part))
        start += len(part) + 1
    refuse_contradictions(text, limits, EXAMPLE)
    return Objective(text, tuple(limits))


def _limit(text: str, start: int, part: str) -> Limit:
    typed = part.strip()
    start += len(part) - len(part.lstrip())

    def wrong(expected: str) -> SetupError:
        found = repr(typed) if typed else "nothing"
        message = f"objective {text!r}: found {found} at character {start + 1}, expected {expected}"
        return SetupError(message, hint=EXAMPLE)

    match = _TERM.fullmatch(typed.lower())
    if match is None:
        raise wrong("a metric, one of < <= > >=, and a number with its unit")
    name, digits, unit = match["name"], match["percentile"], match["unit"]
    percentile = None
    if name == "p" and digits:
        percentile = _percentile(digits)
        if percentile is None:
            raise wrong("a percentile above 0 and below 100, such as p99.9; the highest latency is `max`")
    elif digits or name not in ("mean", "max", "errors", "throughput"):
        raise wrong("one of p50 to p99.99, mean, max, errors, throughput")
    metric = cast("Metric", "percentile" if percentile is not None else name)
    units = {"errors": _SHARES, "throughput": _RATES}.get(metric, _TIMES)
    if unit not in units:
        raise wrong(
            f"a unit of {' '.join(unit for unit in units if unit.isascii() and unit)} after the number"
        )
    value = float(match["number"]) * units[unit]
    limit = Limit(metric, percentile, cast("Comparison", match["comparison"]), value, typed)
    if value < 0 or _empty(limit):
        raise wrong("a limit that some results meet and others do not")
    return limit


def _percentile(digits: str) -> float | None:
    try:
        value = float(digits)
    except ValueError:
        return None
    return value if 0 < value < 100 else None


def _empty(limit: Limit) -> bool:
    """Whether nothing or everything keeps the limit: then it says nothing."""
    lowest = 0.0 if limit.metric in ("errors", "throughput") else 1.0
    highest = 1.0 if limit.metric == "errors" else math.inf
    return limit.holds(lowest) == limit.holds(highest)
