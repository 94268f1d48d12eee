"""What this client can do at most: the same requests, to a server that answers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import NullServer

from infermesh_perf.load.engine import LocalEngine
from infermesh_perf.load.measure import carry_out
from infermesh_perf.load.pacing import Pacing
from infermesh_perf.load.plan import Sending, plan
from infermesh_perf.load.totals import Totals
from infermesh_perf.results.document import Load

CONCURRENCY = 64
SECONDS = 0.4


def ceiling(
    workloads: Sequence[load_pb2.Workload],
    protocol: load_pb2.Protocol.ValueType,
    answer: bytes,
    sending: Sending,
) -> float | None:
    """Answers per second of this client with these requests, on plaintext and with no server to wait for.

    None if not one request was answered in that time, as when each takes longer to send.
    """
    load = Load(mode="concurrency", value=CONCURRENCY)
    return against_null(workloads, protocol, answer, load, sending, SECONDS).throughput or None


def against_null(
    workloads: Sequence[load_pb2.Workload],
    protocol: load_pb2.Protocol.ValueType,
    answer: bytes,
    load: Load,
    sending: Sending,
    seconds: float,
) -> Totals:
    """One load on a null server in this process. A quarter of the time more is for the warm-up.

    Answers are not looked into.
    """
    speech: Literal["grpc", "http"] = "http" if protocol == load_pb2.PROTOCOL_HTTP else "grpc"
    server = NullServer(0, protocol=speech, answer=answer)
    try:
        target = load_pb2.Target(address=f"127.0.0.1:{server.port}", protocol=protocol)
        blind = [_blind(workload) for workload in workloads]
        engine = LocalEngine(plan(target, blind, load, sending))
        pacing = Pacing(seconds=seconds, warm_up_seconds=seconds / 4, slice_seconds=seconds / 4)
        return carry_out(engine, len(blind), pacing).totals
    finally:
        server.close()


def _blind(workload: load_pb2.Workload) -> load_pb2.Workload:
    """The same requests; the null server's answer is none that was expected, nor one of a decoupled model."""
    copy = load_pb2.Workload()
    copy.CopyFrom(workload)
    copy.decoupled = False
    for script in copy.scripts:
        for payload in script.payloads:
            del payload.expected[:]
    return copy
