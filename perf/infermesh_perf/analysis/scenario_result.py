"""Whether the run of a scenario is VALID, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infermesh_native import Histogram

from infermesh_perf.analysis import early_stopping
from infermesh_perf.analysis import text as texts
from infermesh_perf.analysis.binomial import share_above
from infermesh_perf.analysis.scenarios import Rules

Unit = Literal["ns", "queries/s", "samples/s"]


@dataclass(frozen=True)
class Observed:
    """What was measured. `latency` is of good answers, one entry for each query, from due to answered."""

    #: From the first query to the last one's due time; Offline: to the last answer.
    seconds: float
    failed: int
    latency: Histogram
    #: Server: queries per second as they were due.
    rate: float = 0.0


@dataclass(frozen=True)
class ScenarioResult:
    """The verdict in MLPerf's words."""

    verdict: Literal["VALID", "INVALID"]
    #: What is reported, such as `90th percentile of the latency`, and its value: None without enough queries.
    reports: str
    value: float | None
    unit: Unit
    #: Why it is INVALID, one sentence each, and what to do about it.
    reasons: tuple[str, ...]
    recommendations: tuple[str, ...]


def judge(rules: Rules, observed: Observed) -> ScenarioResult:
    """Hold a run against the rules of its scenario.

    A failed query is over the target of Server, however fast it failed, and makes the other scenarios
    INVALID. Raises ValueError if the rules of Server have no target.
    """
    problems = _length(rules, observed)
    if rules.name == "Server":
        problems += _server(rules, observed)
    elif observed.failed:
        problems.append(
            (f"{observed.failed:,} queries failed", "Find out why queries fail, and repeat the run.")
        )
    value, unit = _reported(rules, observed)
    return ScenarioResult(
        "INVALID" if problems else "VALID",
        rules.reports,
        value,
        unit,
        tuple(reason for reason, _ in problems),
        tuple(advice for _, advice in problems),
    )


def _reported(rules: Rules, observed: Observed) -> tuple[float | None, Unit]:
    if rules.name == "Server":
        return observed.rate, "queries/s"
    if rules.percentile is not None:
        return early_stopping.estimate(observed.latency, rules.percentile).value_ns, "ns"
    samples = observed.latency.count * rules.samples_per_query
    return samples / observed.seconds if observed.seconds else 0.0, "samples/s"


def _length(rules: Rules, observed: Observed) -> list[tuple[str, str]]:
    problems = []
    if observed.seconds < rules.minimum_seconds:
        reason = f"the run took {observed.seconds:.4g} s, at least {rules.minimum_seconds:.4g} s are needed"
        problems.append((reason, "Let the run take longer."))
    queries = observed.latency.count + observed.failed
    if queries < rules.minimum_queries:
        what = "samples" if rules.name == "Offline" else "queries"
        reason = f"{queries:,} {what} were sent, at least {rules.minimum_queries:,} are needed"
        problems.append((reason, f"Send at least {rules.minimum_queries:,} {what}."))
    return problems


def _server(rules: Rules, observed: Observed) -> list[tuple[str, str]]:
    if rules.target_ns is None or rules.percentile is None:
        raise ValueError("the rules of Server need a percentile and a target")
    queries = observed.latency.count + observed.failed
    over = queries - observed.latency.count_up_to(rules.target_ns)
    target = f"p{rules.percentile:g} <= {texts.duration(rules.target_ns)}"
    stopping = early_stopping.server(queries, over, rules.percentile)
    if stopping.met:
        return []
    counted = f"{over:,} of {queries:,} queries are over the target"
    if over > queries * share_above(rules.percentile):
        return [(f"{target} is not met: {counted}", "Reduce the rate.")]
    return [
        (
            f"{target} is met, and not proven with 99 % confidence: {counted}",
            f"Send at least {stopping.missing:,} queries more.",
        )
    ]
