"""Results of load tests that never were, for tests of what is made from results: files, pages, tables."""

from datetime import UTC, datetime

import numpy as np
from infermesh_perf.results.document import (
    Certificate,
    Check,
    Comparison,
    Level,
    Load,
    Ratio,
    Run,
    TargetSummary,
    TensorSummary,
    WorkloadResult,
    WorkloadSummary,
)

from support.perf_levels import EMPTY, SECONDS, level


def run(*, hostile: str = "digits") -> Run:
    """Six loads of a closed loop; `hostile` is every name and text that comes from elsewhere."""
    return _run([level(Load(mode="concurrency", value=2.0**n)) for n in range(1, 7)], hostile)


def search() -> Run:
    """An open loop that has found the highest rate with a certificate."""
    levels = [
        level(Load(mode="rate", value=rate, distribution="poisson")) for rate in (1000, 2000, 3000, 3500)
    ]
    certificate = Certificate(
        objective="p99<20ms,errors<0.1%",
        rate=3500,
        confidence=0.99,
        requests=70000,
        over=512,
        sentence="3,500/s keep p99 under 20 ms with a confidence of 99%: 512 of 70,000 requests took longer.",
    )
    return _run(levels, "digits").model_copy(update={"kind": "search", "certificate": certificate})


def failing(*, hostile: str = "digits") -> Run:
    """An overloaded open loop: errors, two models, failed checks, cut short."""
    late = Check(
        name="send lag",
        passed=False,
        found="p99 4.1 ms",
        limit="at most 1 ms",
        advice=f"Give the client more threads, or another machine. {hostile}",
    )
    levels = [
        level(Load(mode="rate", value=2000, distribution="poisson")),
        level(Load(mode="rate", value=6000, distribution="poisson"), failing=0.08, checks=[late]),
    ]
    mixed = [
        each.model_copy(
            update={
                "workloads": [_workload(f"{hostile} {n}", each, share) for n, share in ((1, 0.7), (2, 0.3))]
            }
        )
        for each in levels
    ]
    cut = f"the target closed all connections: {hostile}"
    return _run(mixed, hostile).model_copy(update={"cut_short": cut})


def unanswered() -> Run:
    """One load of which no request succeeded, and about which nothing else is known."""
    nothing: dict[str, object] = dict.fromkeys(("latency", "service", "lag", "lateness"), EMPTY)
    nothing |= {"completed": 0, "throughput": 0.0, "rows_per_second": 0.0, "timeline": [], "hops": []}
    nothing |= {"batch_sizes": {}, "slowest": [], "objective_met": False, "stable": None, "windows": []}
    only = level(Load(mode="concurrency", value=4), failing=0.5).model_copy(update=nothing)
    return _run([only], "digits")


def comparison() -> Comparison:
    """B is faster at the median, slower at the tail, the same in throughput."""
    a, b = (
        _run([level(Load(mode="concurrency", value=16), slower=slower)], "digits") for slower in (1.0, 0.9)
    )
    chance = np.random.default_rng(5)

    def ratio(name: str, figure: float, factor: float, spread: float, verdict: str) -> Ratio:
        first = (figure * chance.normal(1, spread, 8)).tolist()
        second = (figure * factor * chance.normal(1, spread, 8)).tolist()
        return Ratio.model_validate(
            {
                "name": name,
                "a": first,
                "b": second,
                "ratio": factor,
                "low": factor * (1 - spread),
                "high": factor * (1 + spread),
                "confidence": 0.95,
                "p_value": 0.004 if verdict in ("better", "worse") else 0.4,
                "verdict": verdict,
            }
        )

    ratios = [
        ratio("throughput", 4100, 1.01, 0.01, "same"),
        ratio("p50", 3.9e6, 0.88, 0.02, "better"),
        ratio("p99", 9.2e6, 1.21, 0.05, "worse"),
        ratio("p99.9", 21e6, 1.07, 0.15, "unclear"),
    ]
    return Comparison(
        command=["infermesh", "perf", "compare", "-m", "digits", "-u", "a:8001", "--with", "b:8001"],
        started=a.started,
        seconds=640.0,
        environment=a.environment,
        a=a,
        b=b.model_copy(update={"target": a.target.model_copy(update={"url": "b:8001"})}),
        order="ABBABAAB",
        minimum_effect=0.05,
        ratios=ratios,
        verdict="worse",
    )


def _run(levels: list[Level], name: str) -> Run:
    return Run(
        kind="run",
        command=[
            "infermesh",
            "perf",
            "run",
            "-m",
            name,
            "-u",
            "localhost:8001",
            "--slo",
            "p99<20ms,errors<0.1%",
        ],
        started=datetime(2026, 11, 26, 12, 30, tzinfo=UTC),
        seconds=SECONDS * len(levels),
        tags={"branch": name, "ticket": "none"},
        environment={
            "client": {"cpu": "AMD EPYC 9R14", "cores": 16, "memory_bytes": 64 << 30, "virtual": True},
            "infermesh": "0.1.0",
        },
        target=TargetSummary(
            url="localhost:8001", protocol="grpc", tls=False, server=name, server_version="2.61"
        ),
        workloads=[
            WorkloadSummary(
                name=name,
                model=name,
                version="1",
                weight=1.0,
                batch=8,
                inputs=[TensorSummary(name=name, datatype="FP32", shape=[8, 64])],
                source="random, seed 1",
                payloads=16,
                payload_bytes=2048,
            )
        ],
        objective="p99<20ms,errors<0.1%",
        levels=[_renamed(each, name) for each in levels],
    )


def _renamed(found: Level, name: str) -> Level:
    slowest = [each.model_copy(update={"workload": name}) for each in found.slowest]
    failures = [each.model_copy(update={"message": f"{each.message} {name}"}) for each in found.failures]
    return found.model_copy(update={"slowest": slowest, "failures": failures})


def _workload(name: str, whole: Level, part: float) -> WorkloadResult:
    return WorkloadResult(
        name=name,
        throughput=whole.throughput * part,
        completed=int(whole.completed * part),
        failed=int(whole.failed * part),
        latency=whole.latency,
    )
