"""A request whose client gave up while it waited never reaches the model."""

import queue
from collections.abc import Iterator

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support.client import SECONDS, Client, ints, refused, request
from support.gate import Gate
from support.python_models import GATED
from support.repository import Repository
from support.server import Serve


@pytest.fixture
def busy(serve: Serve, repository: Repository, gate: Gate) -> Iterator[Client]:
    """A client of a model that is held in its first batch."""
    repository.python("gated", GATED, config=gate.config + "max_batch_size: 8\n")
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        first = client.start(request("gated", x=ints([0])))
        assert gate.next_batch().rows == [[0]]
        yield client
        gate.open()
        first.result()


def assert_next(client: Client, gate: Gate, value: int) -> None:
    """What runs next is a request that is made now: nothing else was left in the queue."""
    last = client.start(request("gated", x=ints([value])))
    client.fence()
    gate.open()
    assert gate.next_batch().rows == [[value]]
    last.result()
    executed = client.statistics("gated")
    assert (executed.execution_count, executed.inference_count) == (2, 2)


def test_a_cancelled_request_never_runs(busy: Client, gate: Gate) -> None:
    given_up = busy.start(request("gated", x=ints([1])))
    busy.fence()
    given_up.cancel()
    busy.fence()
    assert_next(busy, gate, 2)


def test_a_request_past_its_deadline_never_runs(busy: Client, gate: Gate) -> None:
    given_up = busy.start(request("gated", x=ints([1])), timeout=0.2)
    assert given_up.exception().code() == grpc.StatusCode.DEADLINE_EXCEEDED
    busy.fence()
    assert_next(busy, gate, 2)


def test_many_cancelled_requests_leave_no_trace(busy: Client, gate: Gate) -> None:
    given_up = [busy.start(request("gated", x=ints([1]))) for _ in range(200)]
    busy.fence()
    for call in given_up:
        call.cancel()
    busy.fence()
    assert_next(busy, gate, 2)


def test_requests_of_a_cancelled_stream_never_run(busy: Client, gate: Gate) -> None:
    to_send: queue.SimpleQueue[pb.ModelInferRequest | None] = queue.SimpleQueue()

    def requests() -> Iterator[pb.ModelInferRequest]:
        while (each := to_send.get(timeout=SECONDS)) is not None:
            yield each

    stream = busy.stream(requests())
    stream.initial_metadata()
    for value in (1, 2, 3):
        to_send.put(request("gated", x=ints([value])))
    busy.fence()
    stream.cancel()
    to_send.put(None)
    busy.fence()
    assert_next(busy, gate, 4)


def test_a_stream_past_its_deadline_never_runs_what_waits(busy: Client, gate: Gate) -> None:
    stream = busy.inference.ModelStreamInfer(iter([request("gated", x=ints([1]))]), timeout=0.3)
    with refused(grpc.StatusCode.DEADLINE_EXCEEDED):
        next(stream)
    busy.fence()
    assert_next(busy, gate, 2)
