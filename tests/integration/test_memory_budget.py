"""Requests under way take no more memory than they may, and what is refused for it succeeds later."""

import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, request
from support.http2 import DATA, Connection, grpc_fields
from support.repository import Repository
from support.rest import Rest
from support.server import Serve, Server

INFER = "/inference.GRPCInferenceService/ModelInfer"

MEGABYTE = 1 << 20
BUDGET = 64 * MEGABYTE
#: What the process takes besides: connections, and memory that it keeps for the next ones.
SLACK = 64 * MEGABYTE
#: What would be kept without a budget.
SENT = 4 * BUDGET


@pytest.fixture
def server(serve: Serve, repository: Repository) -> Server:
    repository.onnx("wide", onnx_models.identity("FP32", ("n", "m")))
    # Pings tell when what was sent is received: they may come often.
    pings = ("--grpc-http2-max-ping-strikes", "0")
    server = serve("--memory-budget-bytes", str(BUDGET), "--http-port", "0", *pings)
    server.wait_ready()
    return server


def fill(connection: Connection, megabytes: int) -> int:
    """A request that announces twice as much and sends only so much of it."""
    stream = connection.headers(grpc_fields(INFER))
    size = megabytes * MEGABYTE
    connection.frame(DATA, 0, stream, struct.pack(">BI", 0, 2 * size))
    for _ in range(size // 16_384):
        connection.frame(DATA, 0, stream, bytes(16_384))
    return stream


def test_what_is_half_received_leaves_less_for_others_until_it_is_given_up(server: Server) -> None:
    with Client(server.target) as client, Rest(server.http_port) as rest:
        message = request("wide", x=np.zeros((1, 8 * MEGABYTE), np.float32))
        client.infer(message)
        with Connection(server.port) as connection:
            assert connection.ping()
            for _ in range(5):
                fill(connection, 7)
                assert connection.ping()
            with pytest.raises(grpc.RpcError) as refused:
                client.infer(message)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "memory" in (refused.value.details() or "")
            # It is told before it sends anything.
            rest.connection.putrequest("POST", "/v2/models/wide/infer")
            rest.connection.putheader("Content-Length", str(32 * MEGABYTE))
            rest.connection.endheaders()
            answer = rest.answer()
            assert answer.status == 429
            assert "memory" in answer.error
        ask_until_served(client, message)


def ask_until_served(client: Client, message: pb.ModelInferRequest) -> None:
    """Retry, as clients do; nothing but a lack of memory may be in the way."""
    while True:
        answer = client.inference.ModelInfer.future(message, timeout=SECONDS)
        if answer.code() is grpc.StatusCode.OK:
            return
        assert answer.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, answer.details()


def test_many_large_requests_at_once_succeed_in_the_end(server: Server) -> None:
    message = request("wide", x=np.zeros((1, 2 * MEGABYTE), np.float32))

    def ask(_: int) -> None:
        with Client(server.target) as client:
            ask_until_served(client, message)

    with ThreadPoolExecutor(24) as threads:
        list(threads.map(ask, range(48)))


def test_what_is_received_at_once_stays_within_the_budget(server: Server) -> None:
    before = server.resident_bytes()
    with ExitStack() as connections:
        for _ in range(SENT // (7 * MEGABYTE)):
            connection = connections.enter_context(Connection(server.port))
            # Its windows are known then.
            assert connection.ping()
            fill(connection, 7)
            assert connection.ping()
        assert server.resident_bytes() - before < BUDGET + SLACK
