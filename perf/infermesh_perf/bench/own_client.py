"""The suite's own load generator as a client of the benchmarks, beside h2load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.bench.h2load import METHOD
from infermesh_perf.errors import RunError
from infermesh_perf.load.engine import LocalEngine
from infermesh_perf.load.measure import carry_out
from infermesh_perf.load.pacing import Pacing
from infermesh_perf.load.plan import Sending, plan
from infermesh_perf.load.totals import Totals
from infermesh_perf.results.document import Load

NAME = "infermesh perf"


@dataclass(frozen=True)
class OwnSample:
    """One run. Times are seconds; `lateness_p99` is how late the client was, 0 in a closed loop."""

    requests_per_second: float
    succeeded: int
    mean: float
    p50: float
    p99: float
    lateness_p99: float
    client_cpu: float


def closed(port: int, message: bytes, streams: int, seconds: float, warm_up: float) -> OwnSample:
    """A closed loop on one connection of the gRPC server at `port`, as h2load's `-c 1 -m STREAMS`.

    Raises RunError when requests fail, or none succeeds.
    """
    return _run(port, message, Load(mode="concurrency", value=streams), seconds, warm_up)


def opened(
    port: int,
    message: bytes,
    rate: float,
    seconds: float,
    warm_up: float,
    distribution: Literal["constant", "poisson"] = "poisson",
) -> OwnSample:
    """An open loop of `rate` requests per second on one connection."""
    return _run(port, message, Load(mode="rate", value=rate, distribution=distribution), seconds, warm_up)


def _run(port: int, message: bytes, load: Load, seconds: float, warm_up: float) -> OwnSample:
    target = load_pb2.Target(address=f"127.0.0.1:{port}", protocol=load_pb2.PROTOCOL_GRPC)
    payload = load_pb2.Payload(body=message)
    workload = load_pb2.Workload(
        name="bench", path=METHOD, weight=1, scripts=[load_pb2.Script(payloads=[payload])]
    )
    engine = LocalEngine(plan(target, [workload], load, Sending(threads=1, connections=1)))
    return _sample(carry_out(engine, 1, Pacing(seconds=seconds, warm_up_seconds=warm_up)).totals)


def _sample(totals: Totals) -> OwnSample:
    whole = totals.all
    if whole.failed or not whole.completed:
        said = "; ".join(f"{kind}: {each.message}" for kind, each in whole.failures.items())
        raise RunError(f"{NAME}: {whole.completed} requests succeeded, {whole.failed} failed: {said}")
    return OwnSample(
        requests_per_second=totals.throughput,
        succeeded=whole.completed,
        mean=whole.latency.mean / 1e9,
        p50=whole.latency.percentile(50) / 1e9,
        p99=whole.latency.percentile(99) / 1e9,
        lateness_p99=totals.lateness.percentile(99) / 1e9,
        client_cpu=totals.client_cpu,
    )
