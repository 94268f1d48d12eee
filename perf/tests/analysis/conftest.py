import base64
import math
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from infermesh_native import Histogram
from infermesh_perf.results.document import Distribution, Level, Load, Moment

MakeLevel = Callable[..., Level]


def distribution(latencies_ns: Sequence[int]) -> Distribution:
    histogram = Histogram()
    for value, count in Counter(latencies_ns).items():
        histogram.record(value, count)
    return Distribution(
        count=histogram.count,
        mean_ns=histogram.mean,
        stdev_ns=histogram.stdev,
        min_ns=histogram.min,
        max_ns=histogram.max,
        percentiles_ns={f"{p:g}": histogram.percentile(p) for p in (50, 90, 95, 99, 99.9, 99.99)},
        encoded=base64.b64encode(histogram.encode()).decode(),
    )


def make_level(
    latencies_ns: Sequence[int],
    *,
    failed: int = 0,
    throughput: float | None = None,
    slices: int = 10,
    load: Load | None = None,
) -> Level:
    """A level of one second per slice; latencies in the order of their ends, failures spread evenly."""
    each = math.ceil(len(latencies_ns) / slices) if latencies_ns else 0
    timeline = []
    for place in range(slices):
        part = latencies_ns[place * each : (place + 1) * each]
        heat = Counter(math.floor(4 * math.log2(max(value, 1) / 1000)) for value in part)
        timeline.append(
            Moment(
                start_seconds=place,
                seconds=1,
                completed=len(part),
                failed=failed // slices + (place < failed % slices),
                outstanding=1,
                p50_ns=0,
                p99_ns=0,
                heat=dict(heat),
            )
        )
    latency, empty = distribution(latencies_ns), distribution([])
    rate = len(latencies_ns) / slices if throughput is None else throughput
    return Level(
        load=load or Load(mode="rate", value=rate, distribution="poisson"),
        seconds=slices,
        throughput=rate,
        rows_per_second=rate,
        completed=len(latencies_ns),
        failed=failed,
        unsent=0,
        sent_bytes=0,
        received_bytes=0,
        latency=latency,
        service=latency,
        lag=empty,
        lateness=empty,
        first_response=empty,
        responses=len(latencies_ns),
        failures=[],
        windows=[],
        stable=None,
        timeline=timeline,
        hops=[],
        batch_sizes={},
        slowest=[],
        workloads=[],
        client_cpu=0,
        connections_lost=0,
        checks=[],
    )


@pytest.fixture
def level() -> MakeLevel:
    return make_level


def histogram_of(latencies_ns: Sequence[int]) -> Histogram:
    histogram = Histogram()
    for value, count in Counter(latencies_ns).items():
        histogram.record(value, count)
    return histogram


@pytest.fixture
def histogram() -> Callable[[Sequence[int]], Histogram]:
    return histogram_of
