"""What a result says in a few sentences, for whoever reads no further."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from infermesh_perf.analysis import slo
from infermesh_perf.report.format import duration, number, rate, share
from infermesh_perf.results.document import Check, Comparison, Level, Run

Tone = Literal["good", "bad", "warn", "neutral"]

_SIDES: dict[str, tuple[Tone, str]] = {
    "better": ("good", "B is better than A"),
    "worse": ("bad", "B is worse than A"),
    "same": ("good", "B is no different from A"),
    "unclear": ("warn", "Unclear: chance could explain the difference"),
}


@dataclass(frozen=True)
class FailedCheck:
    """A rule that was broken, and where."""

    where: str
    check: Check


@dataclass(frozen=True)
class Verdict:
    """A headline, what belongs to it, and what to do about a measurement that does not hold."""

    tone: Tone
    headline: str
    sentences: list[str] = field(default_factory=list)
    failed: list[FailedCheck] = field(default_factory=list)


def of(document: Run | Comparison) -> Verdict:
    """The verdict of any result."""
    return of_run(document) if isinstance(document, Run) else of_comparison(document)


def of_run(run: Run) -> Verdict:
    """Validity first: figures that say nothing about the server meet no objective."""
    tone, headline = _headline(run)
    sentences = [*_cut_short(run), *_objective(run)]
    if run.certificate:
        sentences.append(run.certificate.sentence)
    best = peak(run)
    if best:
        where = " that meets the objective" if best.objective_met else ""
        sentences.append(
            f"Highest throughput{where}: {rate(best.throughput)} at {best.load}, "
            f"p99 {duration(best.latency.percentiles_ns['99'])}, errors {share(best.error_share)}."
        )
    sentences += _unstable(run)
    return Verdict(tone, headline, sentences, _failed(run))


def of_comparison(comparison: Comparison) -> Verdict:
    """What the ratios say, unless a side is invalid."""
    tone, headline = _SIDES[comparison.verdict]
    if comparison.verdict == "same":
        headline += f" beyond the minimum effect of {share(comparison.minimum_effect)}"
    if not comparison.valid:
        tone, headline = "bad", f"INVALID: the measurement does not hold, whatever it says ({headline})"
    sentences = [
        f"{side}: {sentence}"
        for side, run in (("A", comparison.a), ("B", comparison.b))
        for sentence in [*_cut_short(run), *_unstable(run)]
    ]
    sentences += [
        f"{ratio.name}: {ratio.verdict}, B / A is {number(ratio.ratio)} "
        f"({number(ratio.low)} to {number(ratio.high)} with {share(ratio.confidence)} confidence)."
        for ratio in comparison.ratios
    ]
    return Verdict(tone, headline, sentences, [*_failed(comparison.a, "A, "), *_failed(comparison.b, "B, ")])


def peak(run: Run) -> Level | None:
    """The level of the highest throughput among those that meet the objective, or among all if none does."""
    answered = [level for level in run.levels if level.completed]
    met = [level for level in answered if level.objective_met]
    return max(met or answered, key=lambda level: level.throughput, default=None)


def _headline(run: Run) -> tuple[Tone, str]:
    judged = [level for level in run.levels if level.objective_met is not None]
    met = sum(level.objective_met is True for level in judged)
    if not run.levels:
        return "bad", "INVALID: nothing was measured"
    if not run.valid:
        return "bad", "INVALID: the measurement does not hold"
    if not judged:
        return "neutral", "Valid; no objective was set"
    if met == len(judged):
        return "good", "Objective met"
    if met:
        # A search goes too far on purpose; a run may have wanted all of its loads to pass.
        return "good" if run.kind == "search" else "warn", f"Objective met at {met} of {len(judged)} loads"
    return "bad", "Objective not met"


def _objective(run: Run) -> list[str]:
    """The objective, and by how much the first load that missed it did."""
    if not run.objective:
        return []
    missed = next((level for level in run.levels if level.objective_met is False), None)
    if missed is None:
        return [f"Objective: {run.objective}."]
    judgements = slo.parse(run.objective).judge(missed)
    found = "; ".join(str(judgement) for judgement in judgements if not judgement.met)
    return [f"Objective: {run.objective}. First missed at {missed.load}" + (f": {found}." if found else ".")]


def _cut_short(run: Run) -> list[str]:
    return [f"The run was cut short: {run.cut_short.rstrip('.')}."] if run.cut_short else []


def _unstable(run: Run) -> list[str]:
    loads = [str(level.load) for level in run.levels if level.stable is False]
    return [f"Not stable when measuring ended: {', '.join(loads)}."] if loads else []


def _failed(run: Run, side: str = "") -> list[FailedCheck]:
    return [
        FailedCheck(f"{side}{level.load}", check)
        for level in run.levels
        for check in level.checks
        if not check.passed
    ]
