"""The figures of a level that are compared, and their ratios over rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infermesh_perf.analysis.ab import ratio
from infermesh_perf.analysis.histograms import decode
from infermesh_perf.errors import SetupError
from infermesh_perf.results.document import Level, Ratio, Run


@dataclass(frozen=True)
class Figure:
    """One number of a level."""

    name: str
    higher_is_better: bool
    of: Callable[[Level], float]


def _percentile(percentile: float) -> Figure:
    name = f"{percentile:g}"

    def of(level: Level) -> float:
        known = level.latency.percentiles_ns.get(name)
        return known if known is not None else decode(level.latency).percentile(percentile)

    return Figure(f"p{name}", False, of)


#: By name, in the order of reports.
FIGURES = {
    figure.name: figure
    for figure in (
        Figure("throughput", True, lambda level: level.throughput),
        Figure("mean", False, lambda level: level.latency.mean_ns),
        *map(_percentile, (50, 90, 95, 99, 99.9)),
    )
}
DEFAULT_FIGURES = ("throughput", "p50", "p99")


def compare(
    a: Sequence[Level],
    b: Sequence[Level],
    names: Sequence[str] = DEFAULT_FIGURES,
    *,
    confidence: float = 0.95,
    minimum_effect: float = 0.02,
    paired: bool = True,
    seed: int = 0,
) -> list[Ratio]:
    """The ratio of each figure over rounds, a level for each round.

    Raises SetupError for names that are not in `FIGURES`, and RunError as `ratio` does.
    """
    for name in names:
        if name not in FIGURES:
            raise SetupError(f"found figure {name!r}, expected one of {', '.join(FIGURES)}")
    return [
        ratio(
            name,
            [FIGURES[name].of(level) for level in a],
            [FIGURES[name].of(level) for level in b],
            higher_is_better=FIGURES[name].higher_is_better,
            confidence=confidence,
            minimum_effect=minimum_effect,
            paired=paired,
            seed=seed,
        )
        for name in names
    ]


def rounds(runs: Sequence[Run]) -> dict[str, list[Level]]:
    """The levels of some runs by their load, one round each, such as those of a baseline's files."""
    found: dict[str, list[Level]] = {}
    for run in runs:
        for level in run.levels:
            found.setdefault(str(level.load), []).append(level)
    return found
