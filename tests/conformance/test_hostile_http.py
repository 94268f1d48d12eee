"""HTTP that is not gRPC, and gRPC that is not this server's."""

import socket

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support.client import Client
from support.http2 import Connection, grpc_fields, prefixed
from support.server import Server

LIVE = "/inference.GRPCInferenceService/ServerLive"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_than_post_are_405(connection: Connection, method: str) -> None:
    stream = connection.headers(grpc_fields(LIVE, method=method), end=True)
    assert connection.response(stream).http_status == 405


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "application/grp", "application/grpc-web", "application/grpcx", ""],
)
def test_other_content_types_are_415(connection: Connection, content_type: str) -> None:
    stream = connection.grpc(LIVE, b"", content_type=content_type)
    assert connection.response(stream).http_status == 415


def test_no_content_type_is_415(connection: Connection) -> None:
    fields = [field for field in grpc_fields(LIVE) if field[0] != "content-type"]
    stream = connection.headers(fields)
    connection.data(stream, prefixed(b""), end=True)
    assert connection.response(stream).http_status == 415


@pytest.mark.parametrize(
    "content_type",
    ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"],
)
def test_content_types_of_grpc_are_served(connection: Connection, content_type: str) -> None:
    answer = connection.response(connection.grpc(LIVE, b"", content_type=content_type))
    assert (answer.http_status, answer.grpc_status) == (200, grpc.StatusCode.OK)
    assert pb.ServerLiveResponse.FromString(answer.data[5:]).live


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/inference.GRPCInferenceService",
        "/inference.GRPCInferenceService/",
        "/inference.GRPCInferenceService/NoSuchMethod",
        "/inference.GRPCInferenceService/serverlive",
        "/inference.NoSuchService/ServerLive",
        "//ServerLive",
        "/inference.GRPCInferenceService/ServerLive/more",
        "/v2/health/live",
        "/" + "x" * 8_000,
    ],
)
def test_unknown_paths_are_unimplemented(connection: Connection, path: str) -> None:
    answer = connection.response(connection.grpc(path, b""))
    assert (answer.http_status, answer.grpc_status) == (200, grpc.StatusCode.UNIMPLEMENTED)
    assert answer.grpc_message


@pytest.mark.parametrize(
    "opening",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /inference.GRPCInferenceService/ServerLive HTTP/1.1\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + bytes(64),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        bytes(4096),
    ],
    ids=["HTTP/1.1 GET", "HTTP/1.1 POST", "half a preface", "TLS", "zeros"],
)
def test_another_protocol_is_closed(target: Server, bystander: Client, opening: bytes) -> None:
    assert bystander
    with socket.create_connection(("127.0.0.1", target.port), timeout=8) as other:
        other.sendall(opening)
        try:
            while other.recv(4096):
                pass
        except ConnectionResetError:
            pass


def test_who_never_finishes_the_preface_is_closed(target: Server, bystander: Client) -> None:
    assert bystander
    openings = [b"", b"PRI * HTTP/2.0\r\n", b"G"]
    silent = [socket.create_connection(("127.0.0.1", target.port), timeout=20) for _ in openings]
    # All openings first: while the first connection is waited for, the deadline of the others runs, too.
    for other, opening in zip(silent, openings, strict=True):
        other.sendall(opening)
    for other in silent:
        with other:
            while other.recv(4096):
                pass


def test_huge_headers_are_refused(connection: Connection) -> None:
    # RFC 6585 has a status for it; a reset of the stream says it, too.
    stream = connection.headers([*grpc_fields(LIVE), ("padding", "x" * 200_000)], end=True)
    answer = connection.response(stream)
    assert answer.http_status == 431 or answer.reset is not None or connection.goaway is not None


def test_many_small_headers_are_refused(connection: Connection) -> None:
    many = [(f"h{each}", "x" * 20) for each in range(5_000)]
    answer = connection.response(connection.headers([*grpc_fields(LIVE), *many], end=True))
    assert answer.http_status == 431 or answer.reset is not None or connection.goaway is not None


def test_headers_of_a_usual_size_are_taken(connection: Connection) -> None:
    answer = connection.response(connection.grpc(LIVE, b"", authorization="Bearer " + "x" * 7_000))
    assert answer.grpc_status == grpc.StatusCode.OK
