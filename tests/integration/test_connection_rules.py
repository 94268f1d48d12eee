"""Age, keepalive, and clients that take nothing of their answers."""

import socket
import struct

import grpc
import numpy as np
import pytest
from support import hpack, onnx_models
from support.client import Client, request
from support.http2 import HEADERS, SETTINGS, Connection, grpc_fields
from support.repository import Repository
from support.rest import Rest
from support.server import Serve

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
LIVE = "/inference.GRPCInferenceService/ServerLive"


def test_a_connection_is_asked_to_leave_at_its_age_and_its_requests_end(serve: Serve) -> None:
    server = serve("--grpc-max-connection-age", "300")
    server.wait_ready()
    with Connection(server.port) as connection:
        open_stream = connection.headers(grpc_fields(STREAM))
        assert connection.wait_goaway() == 0
        # What is under way goes on for as long as it takes.
        connection.data(open_stream, b"", end=True)
        assert connection.response(open_stream).grpc_status == grpc.StatusCode.OK
        connection.wait_closed()


def test_requests_that_outlast_the_grace_are_cut_off(serve: Serve) -> None:
    server = serve("--grpc-max-connection-age", "200", "--grpc-max-connection-age-grace", "100")
    server.wait_ready()
    with Connection(server.port) as connection:
        connection.headers(grpc_fields(STREAM))
        assert connection.wait_goaway() == 0
        connection.wait_closed()
    assert "grace" in server.wait_for("connection-cut")["message"]


def test_a_client_that_answers_no_ping_is_cut_off(serve: Serve) -> None:
    server = serve("--grpc-keepalive-time", "200", "--grpc-keepalive-timeout", "200")
    server.wait_ready()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as mute:
        mute.sendall(opening(STREAM))
        while mute.recv(1 << 16):
            pass
    assert "ping" in server.wait_for("connection-cut")["message"]


def opening(path: str) -> bytes:
    """A connection with one stream that is left open, and nothing more."""
    block = hpack.encode(grpc_fields(path))
    frames = [(SETTINGS, 0, 0, b""), (HEADERS, 4, 1, block)]
    raw = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for kind, flags, stream, payload in frames:
        raw += struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
    return raw


def test_grpc_learns_that_it_pings_too_often(serve: Serve) -> None:
    server = serve("--grpc-keepalive-permit-without-calls")
    server.wait_ready()
    with Connection(server.port) as connection:
        while connection.goaway is None and connection.ping():
            pass
        assert connection.wait_goaway() == 11
        assert connection.goaway_reason == "too_many_pings"


def test_pings_may_be_allowed(serve: Serve) -> None:
    interval = ("--grpc-http2-min-recv-ping-interval-without-data", "0")
    server = serve(*interval, "--grpc-keepalive-permit-without-calls")
    server.wait_ready()
    with Connection(server.port) as connection:
        assert all(connection.ping() for _ in range(50))


def test_an_answer_that_nobody_takes_is_given_up(serve: Serve, repository: Repository) -> None:
    repository.onnx("wide", onnx_models.identity("FP32", ("n", "m")))
    server = serve("--write-timeout-secs", "0.5")
    server.wait_ready()
    message = request("wide", x=np.zeros((1, 100_000), np.float32)).SerializeToString()
    with Connection(server.port) as connection:
        # The settings of both sides hold.
        assert connection.ping()
        # From now on no window for answers is opened.
        connection.frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
        connection.grpc(INFER, message)
        connection.wait_closed()
    assert "nothing of its answers" in server.wait_for("connection-cut")["message"]
    with Client(server.target) as client:
        client.infer(request("wide", x=np.zeros((1, 100_000), np.float32)))


def test_connections_beyond_the_limit_are_refused(serve: Serve) -> None:
    server = serve("--max-connections", "2")
    server.wait_ready()
    with Connection(server.port) as first, Connection(server.port) as second:
        assert first.ping()
        assert second.ping()
        with Connection(server.port) as third:
            third.wait_closed()
        assert "--max-connections" in server.wait_for("connection-refused")["message"]
        assert first.response(first.grpc(LIVE, b"")).grpc_status == grpc.StatusCode.OK


def test_message_limits_are_those_of_their_edge(serve: Serve, repository: Repository) -> None:
    repository.onnx("wide", onnx_models.identity("FP32", ("n", "m")))
    server = serve(
        "--grpc-max-receive-message-bytes", "1000", "--http-max-input-size", "2000", "--http-port", "0"
    )
    server.wait_ready()
    with Client(server.target) as client, pytest.raises(grpc.RpcError) as refused:
        client.infer(request("wide", x=np.zeros((1, 300), np.float32)))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with Rest(server.http_port) as rest:
        assert rest.post("/v2/models/wide/infer", b"x" * 2001).status == 413
        # Far more than the sockets' buffers hold: the client is still writing when it is refused.
        assert rest.post("/v2/models/wide/infer", bytes(16 << 20)).status == 413
        assert rest.post("/v2/models/wide/infer", b"x" * 1999).status == 400
