"""SIGTERM under load: what was accepted is answered, and what was not is refused so that it can move on."""

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as v2
from infermesh.proto.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from support.client import SECONDS, ints, request
from support.fleet import REQUEST
from support.gate import Gate
from support.http2 import Connection, grpc_fields, prefixed
from support.process import stop_in_order
from support.proxy import Proxy, outbound, proxying
from support.python_models import GATED
from support.repository import Repository
from support.scripted_upstream import answers_after, scripted
from support.server import Serve, Server

CALLERS = 8

#: Calls of each caller before the proxy is told to end, and in all.
BEFORE, IN_ALL = 20, 100

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


def test_clients_that_have_another_address_notice_nothing(tmp_path: Path) -> None:
    """A rolling restart: gRPC clients, without a policy of their own, go on at the next proxy."""
    failures: list[str] = []
    warm = threading.Semaphore(0)

    def call(target: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "proxy")]
        with grpc.insecure_channel(target, options) as channel:
            infer = GRPCInferenceServiceStub(channel).ModelInfer
            for made in range(IN_ALL):
                if made == BEFORE:
                    warm.release()
                try:
                    infer(REQUEST, timeout=SECONDS)
                except grpc.RpcError as error:
                    failures.append(str(error))

    with scripted(answers_after(0.01)) as upstream:
        config = outbound(upstream.port)
        with proxying(config, tmp_path) as second:
            first = Proxy(config, tmp_path)
            target = f"ipv4:{first.target()},{second.target()}"
            callers = [threading.Thread(target=call, args=(target,)) for _ in range(CALLERS)]
            for caller in callers:
                caller.start()
            for _ in callers:
                assert warm.acquire(timeout=SECONDS)
            stop_in_order(first)
            for caller in callers:
                caller.join(SECONDS)
    assert failures == []
    # None was sent twice, either.
    assert upstream.requests == CALLERS * IN_ALL


@pytest.fixture
def gated(serve: Serve, repository: Repository, gate: Gate) -> Server:
    """A server whose model waits until it is let go on."""
    repository.python("gated", GATED, config=gate.config)
    server = serve()
    server.wait_ready()
    return server


@pytest.fixture
def proxy(gated: Server, gate: Gate, tmp_path: Path) -> Iterator[Proxy]:
    """Before it."""
    proxy = Proxy(outbound(gated.port), tmp_path, grace=SECONDS)
    try:
        yield proxy
    finally:
        gate.open()
        if proxy.running:
            proxy.kill()


def message(*values: int) -> v2.ModelInferRequest:
    return request("gated", id_=str(values[0]), x=ints(*([value] for value in values)))


def test_what_is_under_way_is_answered_and_what_comes_later_is_not(proxy: Proxy, gate: Gate) -> None:
    with Connection(proxy.port()) as connection:
        held = connection.grpc(INFER, message(1).SerializeToString())
        gate.next_batch()
        proxy.terminate()
        connection.wait_goaway()
        # The proxy has said which requests are its last, once it has heard back from the client.
        assert connection.ping()
        late = connection.grpc(INFER, message(2).SerializeToString())
        gate.let()
        answer = connection.response(held)
        assert answer.grpc_status is grpc.StatusCode.OK
        connection.wait_closed()
        # Not touched: beyond the last stream that the farewell names, so every client may send it elsewhere.
        assert not connection.responses[late].headers
        assert connection.last_stream is not None
        assert held <= connection.last_stream < late
    stop_in_order(proxy)


def test_a_stream_goes_on_to_its_end(proxy: Proxy, gate: Gate) -> None:
    with Connection(proxy.port()) as connection:
        stream = connection.headers(grpc_fields(STREAM))
        connection.data(stream, prefixed(message(1).SerializeToString()))
        gate.next_batch()
        proxy.terminate()
        connection.wait_goaway()
        # Requests and answers pass in both directions as before.
        gate.let()
        connection.data(stream, prefixed(message(2).SerializeToString()))
        gate.next_batch()
        gate.let()
        connection.data(stream, b"", end=True)
        answer = connection.response(stream)
        assert answer.grpc_status is grpc.StatusCode.OK
        assert b"\x01\x00\x00\x00" in answer.data
        assert b"\x02\x00\x00\x00" in answer.data
    stop_in_order(proxy)


def test_a_stream_beyond_the_grace_is_cut_and_the_exit_says_so(
    gated: Server, gate: Gate, tmp_path: Path
) -> None:
    proxy = Proxy(outbound(gated.port), tmp_path, grace=0.5)
    with Connection(proxy.port()) as connection:
        stream = connection.grpc(STREAM, message(1).SerializeToString())
        gate.next_batch()
        proxy.terminate()
        assert proxy.wait(SECONDS) == 1
        assert connection.response(stream).grpc_status is not grpc.StatusCode.OK
