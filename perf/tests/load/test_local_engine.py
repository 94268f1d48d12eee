"""Threads of this process, against a server that answers at once."""

from collections.abc import Iterator

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import NullServer
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.load.engine import LocalEngine
from infermesh_perf.load.measure import measure
from infermesh_perf.load.pacing import Pacing
from infermesh_perf.load.plan import Sending, plan
from infermesh_perf.processes import free_ports
from infermesh_perf.results.document import Load

CLOSED = Load(mode="concurrency", value=2)


@pytest.fixture
def port() -> Iterator[int]:
    server = NullServer(0, protocol="grpc", answer=b"")
    yield server.port
    server.close()


def planned(port: int, load: Load = CLOSED, requests: int | None = None) -> load_pb2.LoadPlan:
    target = load_pb2.Target(address=f"127.0.0.1:{port}", protocol=load_pb2.PROTOCOL_GRPC)
    script = load_pb2.Script(payloads=[load_pb2.Payload(body=b"x")])
    workload = load_pb2.Workload(name="m", path="/p", weight=1, scripts=[script])
    return plan(target, [workload], load, Sending(records=50), requests)


def test_a_number_of_requests(port: int) -> None:
    engine = LocalEngine(planned(port, requests=300))
    assert engine.connect() == 1

    found = measure(engine, 1, Pacing(warm_up_seconds=0.05, requests=300))

    engine.close()
    # Those of the warm-up come on top; they have no latency.
    assert found.totals.all.latency.count == 300
    assert found.totals.all.failed == 0
    assert 0 < len(found.totals.records) <= 50 * len(found.timeline.moments()) + 50
    assert all(record.service_ns > 0 for _, record in found.totals.records)
    assert found.origin_ns >= 50_000_000


def test_a_plan_that_cannot_be_carried_out(port: int) -> None:
    with pytest.raises(SetupError, match="no rate"):
        LocalEngine(planned(port, Load(mode="rate", value=1e12, distribution="constant")))


def test_nobody_listens() -> None:
    (port,) = free_ports(1)
    engine = LocalEngine(planned(port))

    with pytest.raises(RunError, match="refused") as caught:
        engine.connect(5)

    assert "is the server running" in str(caught.value.hint)


def test_one_that_is_closed(port: int) -> None:
    engine = LocalEngine(planned(port))
    engine.close()

    with pytest.raises(RuntimeError, match="closed"):
        engine.take()
