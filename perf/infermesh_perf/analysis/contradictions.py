"""Limits that no result could keep together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from infermesh_perf.analysis.limits import Limit
from infermesh_perf.errors import SetupError


def refuse_contradictions(text: str, limits: Sequence[Limit], example: str) -> None:
    """Raises SetupError that names two limits of one figure and direction, or two that exclude each other."""
    for first, second in combinations(limits, 2):
        if first.upper == second.upper:
            if first.name == second.name:
                raise SetupError(
                    f"objective {text!r}: found {first.text!r} and {second.text!r}, "
                    f"expected one such limit on {first.name}",
                    hint="keep the one that is meant",
                )
            continue
        floor, ceiling = (second, first) if first.upper else (first, second)
        if _never_above(floor, ceiling) and not _room(floor, ceiling):
            raise SetupError(
                f"objective {text!r}: no result meets both {first.text!r} and {second.text!r}", hint=example
            )


def _never_above(one: Limit, other: Limit) -> bool:
    """Whether the figure of `one` is at most that of `other`: percentiles rise, nothing is above `max`."""
    if one.name == other.name:
        return True
    latency = {"percentile", "mean", "max"}
    if one.metric not in latency or other.metric not in latency:
        return False
    if one.percentile is not None and other.percentile is not None:
        return one.percentile < other.percentile
    return other.metric == "max"


def _room(floor: Limit, ceiling: Limit) -> bool:
    both_reached = floor.comparison == ">=" and ceiling.comparison == "<="
    return floor.limit < ceiling.limit or (floor.limit == ceiling.limit and both_reached)
