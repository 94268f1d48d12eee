"""Compares two sides over rounds: the ratio of a figure, its interval, and whether it is more than chance.

The unit is the round. Requests of one run share its luck (where memory lies, what else runs), so thousands of
them make a difference of a few per cent look certain that the next run turns around.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from infermesh_perf.analysis.rounds import rounds_needed
from infermesh_perf.errors import RunError
from infermesh_perf.results.document import Ratio

Verdict = Literal["better", "worse", "same", "unclear"]

RESAMPLES = 9999


def ratio(
    name: str,
    a: Sequence[float],
    b: Sequence[float],
    *,
    higher_is_better: bool,
    confidence: float = 0.95,
    minimum_effect: float = 0.02,
    paired: bool = True,
    seed: int = 0,
) -> Ratio:
    """Median of B / median of A, one figure per round.

    `paired`: the rounds were taken side by side, so that what changed between rounds changed both; else they
    are from different times, such as a baseline's file, and their numbers may differ.

    The interval is a percentile bootstrap over rounds (pairs of them): BCa corrects it by leaving out one
    round at a time, which says nothing about a median, and with a handful of rounds it fails altogether. With
    few rounds the interval is too narrow, so a verdict also asks an exact test: Wilcoxon's signed ranks of
    the ratios for pairs, Mann and Whitney's otherwise.

    better, worse: the interval excludes 1, the p value is at most `1 - confidence`, and the ratio is at least
    `minimum_effect` off 1. same: the interval lies within `minimum_effect` of 1. Else, and with fewer rounds
    than `rounds_needed`, unclear. Raises RunError if a figure is not above 0, a side has none, or pairs do
    not match.
    """
    _check(name, a, b, paired)
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    middle = float(_ratio_of_medians(first, second))
    low, high = (
        _interval(first, second, confidence, paired, seed) if min(len(a), len(b)) > 1 else (middle, middle)
    )
    p_value = _p_value(first, second, paired)
    return Ratio(
        name=name,
        a=list(a),
        b=list(b),
        ratio=middle,
        low=low,
        high=high,
        confidence=confidence,
        p_value=p_value,
        verdict="unclear"
        if min(len(a), len(b)) < rounds_needed(confidence)
        else _verdict(middle, low, high, p_value <= 1 - confidence, minimum_effect, higher_is_better),
    )


def overall(ratios: Sequence[Ratio]) -> Verdict:
    """Worse if one figure is; else unclear if one is, or there is none; else better if one is; else the same.

    Each ratio has its own confidence: among many figures that are alike, some differ by chance.
    """
    verdicts = {ratio.verdict for ratio in ratios} or {"unclear"}
    ranked: tuple[Verdict, ...] = ("worse", "unclear", "better", "same")
    return next(verdict for verdict in ranked if verdict in verdicts)


def _check(name: str, a: Sequence[float], b: Sequence[float], paired: bool) -> None:
    if not a or not b:
        raise RunError(f"{name}: found {len(a)} rounds of A and {len(b)} of B, expected at least one of each")
    if paired and len(a) != len(b):
        raise RunError(f"{name}: found {len(a)} rounds of A and {len(b)} of B, expected as many of each")
    if not all(0 < value < np.inf for value in (*a, *b)):
        raise RunError(
            f"{name}: found {min(*a, *b):g}, expected figures above 0 of which a ratio can be taken",
            hint="a round without good answers cannot be compared: see its errors",
        )


def _ratio_of_medians(
    a: NDArray[np.float64], b: NDArray[np.float64], axis: int = -1
) -> NDArray[np.float64] | np.float64:
    result: NDArray[np.float64] | np.float64 = np.median(b, axis=axis) / np.median(a, axis=axis)
    return result


def _interval(
    a: NDArray[np.float64], b: NDArray[np.float64], confidence: float, paired: bool, seed: int
) -> tuple[float, float]:
    # Here and below, because importing it takes a second that most commands need not spend.
    from scipy import stats

    found = stats.bootstrap(
        (a, b),
        _ratio_of_medians,
        n_resamples=RESAMPLES,
        vectorized=True,
        paired=paired,
        axis=-1,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _p_value(a: NDArray[np.float64], b: NDArray[np.float64], paired: bool) -> float:
    from scipy import stats

    if not paired:
        return float(stats.mannwhitneyu(a, b, alternative="two-sided", method="auto").pvalue)
    differences = np.log(b) - np.log(a)
    # Rounds that are exactly alike speak for neither side; without any other there is nothing to test.
    differences = differences[differences != 0]
    return float(stats.wilcoxon(differences).pvalue) if len(differences) else 1.0


def _verdict(
    middle: float, low: float, high: float, significant: bool, effect: float, higher_is_better: bool
) -> Verdict:
    if 1 - effect <= low and high <= 1 + effect:
        return "same"
    if not significant or low <= 1 <= high or abs(middle - 1) < effect:
        return "unclear"
    return "better" if (middle > 1) == higher_is_better else "worse"
