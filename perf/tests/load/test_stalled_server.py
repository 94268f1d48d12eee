"""The promise of the suite: a server that stalls cannot hide it by slowing the client down."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.load.engine import LocalEngine
from infermesh_perf.load.measure import Progress, measure
from infermesh_perf.load.pacing import Pacing
from infermesh_perf.load.plan import Sending, plan
from infermesh_perf.results.document import Load

RATE = 200.0
SECONDS = 2.0
BEFORE_SECONDS = 0.3
STALL_SECONDS = 1.0
PATH = "/inference.GRPCInferenceService/ModelInfer"


class Stalling(grpc.GenericRpcHandler):
    """Answers everything at once, unless it is held."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()

    def service(self, details: Any) -> Any:
        assert details.method == PATH
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        assert self.free.wait(20)
        return pb.ModelInferResponse(model_name="m").SerializeToString()


@pytest.fixture
def server() -> Iterator[tuple[Stalling, int]]:
    handler = Stalling()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield handler, port
    server.stop(None).wait(10)


def test_a_stall_is_in_the_latency(server: tuple[Stalling, int]) -> None:
    handler, port = server
    target = load_pb2.Target(address=f"127.0.0.1:{port}", protocol=load_pb2.PROTOCOL_GRPC)
    payload = load_pb2.Payload(body=pb.ModelInferRequest(model_name="m").SerializeToString())
    workload = load_pb2.Workload(name="m", path=PATH, weight=1, scripts=[load_pb2.Script(payloads=[payload])])
    load = Load(mode="rate", value=RATE, distribution="constant")

    def hold(progress: Progress) -> None:
        if BEFORE_SECONDS <= progress.seconds < BEFORE_SECONDS + STALL_SECONDS:
            handler.free.clear()
        else:
            handler.free.set()

    engine = LocalEngine(plan(target, [workload], load, Sending(threads=1, max_outstanding=2)))
    try:
        engine.connect()
        pacing = Pacing(SECONDS, warm_up_seconds=0, seconds=SECONDS, slice_seconds=0.05)
        totals = measure(engine, 1, pacing, hold).totals
    finally:
        engine.close()

    whole = totals.all
    # All that was due was sent: what waited is not forgotten. The end comes with a slice, perhaps late.
    assert whole.latency.count == pytest.approx(totals.seconds * RATE, abs=5)
    assert (whole.failed, totals.unsent) == (0, 0)
    # Every request that was due in that second waited for its end; two of them had been sent.
    assert whole.latency.percentile(99) > 500_000_000
    assert whole.lag.percentile(99) > 500_000_000
    assert whole.service.percentile(99) < 100_000_000
    assert whole.service.max > 500_000_000
    # What waited was held back by the server. The client itself was on time, and is not blamed.
    assert totals.lateness.percentile(99) < 100_000_000
