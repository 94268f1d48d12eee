"""Loads of a load test that never was, for tests of what is made from results.

They follow a server with a capacity of 4,200 requests per second, whose latency grows with the load.
"""

import math
from collections.abc import Sequence

import numpy as np
from infermesh_native import Histogram
from infermesh_perf.results.distribution import summarise
from infermesh_perf.results.document import (
    Check,
    Distribution,
    Failure,
    Hop,
    Level,
    Load,
    Moment,
    SlowRequest,
    Window,
)

CAPACITY = 4200.0
SECONDS = 20
EMPTY = summarise(Histogram())


def distribution(values: Sequence[float] | np.ndarray, times: int = 1) -> Distribution:
    """Nanoseconds, each counted so many times."""
    histogram = Histogram()
    for value in values:
        histogram.record(int(value), times)
    return summarise(histogram)


def level(load: Load, *, slower: float = 1.0, failing: float = 0.0, checks: Sequence[Check] = ()) -> Level:
    """One load with everything that a result can say about it. `failing` is the share of failed requests."""
    chance = np.random.default_rng(int(load.value))
    asked = load.value / 0.9e-3 / slower if load.mode == "concurrency" else load.value
    throughput = CAPACITY / slower * math.tanh(asked * slower / CAPACITY)
    mean = (
        load.value / throughput * 1e9
        if load.mode == "concurrency"
        else 0.9e6 * slower / (1.02 - throughput * slower / CAPACITY)
    )
    service = mean * chance.lognormal(-0.06, 0.35, 4000)
    service[:12] *= 6
    lag = chance.exponential(6e3, 4000) + 800
    if load.mode == "rate":
        lag[:300] += chance.exponential(mean, 300)
    latency = service + lag
    total = int(throughput * SECONDS)
    times = max(1, total // 4000)
    failed = int(4000 * times * failing)
    return Level(
        load=load,
        seconds=SECONDS,
        throughput=throughput,
        rows_per_second=throughput * 8,
        completed=4000 * times,
        failed=failed,
        unsent=int(max(0.0, asked - throughput) * SECONDS) if load.mode == "rate" else 0,
        sent_bytes=total * 2048,
        received_bytes=total * 320,
        latency=distribution(latency, times),
        service=distribution(service, times),
        lag=distribution(lag, times),
        lateness=distribution(chance.exponential(4e3, 2000) + 300, 2 * times),
        first_response=EMPTY,
        responses=4000 * times,
        failures=_failures(failed),
        windows=[
            Window(start_seconds=5.0 * n, seconds=5, throughput=throughput, latency_ns=mean * 1.8)
            for n in range(4)
        ],
        stable=True,
        timeline=[_moment(second, latency, throughput, failing) for second in range(SECONDS)],
        hops=_hops(mean, float(lag.mean())),
        batch_sizes={
            8 * size: int(total / size / 8 * weight)
            for size, weight in ((1, 0.2), (2, 0.3), (4, 1), (8, 0.8))
        },
        slowest=_slowest(latency, lag),
        workloads=[],
        client_cpu=min(0.95, throughput / 6000),
        connections_lost=0,
        checks=list(checks) or [Check(name="client", passed=True, found="31% busy", limit="at most 80%")],
        objective_met=bool(np.quantile(latency, 0.99) < 20e6 and failing < 0.001),
    )


def _failures(failed: int) -> list[Failure]:
    if not failed:
        return []
    late = failed // 4
    return [
        Failure(
            kind="UNAVAILABLE",
            count=failed - late,
            message="the queue is full",
            latency=distribution([3e5, 4e5, 9e5], (failed - late) // 3),
        ),
        Failure(kind="TIMEOUT", count=late, message="no answer in 1 s", latency=distribution([1e9], late)),
    ]


def _moment(second: int, latency: np.ndarray, throughput: float, failing: float) -> Moment:
    # A pause of the server in the 12th second.
    seen = latency[second::SECONDS] * (4 if second == 12 else 1)
    buckets, counts = np.unique(np.floor(4 * np.log2(seen / 1e3)).astype(int), return_counts=True)
    completed = int(throughput * (0.6 if second == 12 else 1 - 0.02 * (second % 3)))
    return Moment(
        start_seconds=second,
        seconds=1,
        completed=completed,
        failed=int(completed * failing * (second % 4)),
        outstanding=int(throughput * seen.mean() / 1e9),
        p50_ns=int(np.quantile(seen, 0.5)),
        p99_ns=int(np.quantile(seen, 0.99)),
        heat={
            int(bucket): int(count * throughput / 200) for bucket, count in zip(buckets, counts, strict=True)
        },
        gpu=0.5 + 0.03 * (second % 5),
    )


def _hops(mean: float, lag: float) -> list[Hop]:
    shares = {"network": 0.08, "sidecar": 0.05, "queue": 0.45, "input": 0.03, "compute": 0.36, "output": 0.03}
    sources = {"network": "what is left", "sidecar": "the sidecar's metrics"}
    return [
        Hop(name="client lag", mean_ns=lag, source="the client"),
        *(
            Hop.model_validate(
                {"name": name, "mean_ns": mean * part, "source": sources.get(name, "the server's statistics")}
            )
            for name, part in shares.items()
        ),
    ]


def _slowest(latency: np.ndarray, lag: np.ndarray) -> list[SlowRequest]:
    return [
        SlowRequest(
            workload="digits",
            due_seconds=float(index % 2000) / 100,
            lag_ns=int(lag[index]),
            service_ns=int(latency[index] - lag[index]),
            payload=int(index % 16),
            connection=int(index % 4),
            error="TIMEOUT" if place == 3 else "",
            stages_ns={"queue": 2_100_000, "compute": 3_400_000} if place == 0 else {},
            trace_id="" if place == 1 else f"{int(index) * 0x9E3779B97F4A7C15 + 7:032x}"[-32:],
        )
        for place, index in enumerate(np.argsort(latency)[:-9:-1])
    ]
