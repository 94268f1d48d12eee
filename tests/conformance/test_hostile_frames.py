"""HTTP/2 frames out of place, and floods of them: the connection may end, the server goes on."""

import random
import struct

import grpc
import pytest
from support.client import Client, floats, request
from support.http2 import (
    CONTINUATION,
    GOAWAY,
    HEADERS,
    PING,
    SETTINGS,
    Connection,
    grpc_fields,
    prefixed,
)
from support.server import Server

LIVE = "/inference.GRPCInferenceService/ServerLive"
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"

MEGABYTE = 1 << 20


def test_a_flood_of_resets(connection: Connection, target: Server) -> None:
    before = target.resident_bytes()
    for _ in range(5_000):
        connection.reset(connection.headers(grpc_fields(INFER)))
        if connection.closed:
            break
    # Closed for it, or still served: either is in order.
    if connection.ping():
        assert connection.response(connection.grpc(LIVE, b"")).grpc_status == grpc.StatusCode.OK
    assert target.resident_bytes() - before < 64 * MEGABYTE


def test_a_flood_of_resets_of_whole_requests(connection: Connection, target: Server) -> None:
    before = target.resident_bytes()
    message = request("scale", x=floats(1, 1000)).SerializeToString()
    for _ in range(2_000):
        connection.reset(connection.grpc(INFER, message))
        if connection.closed:
            break
    connection.ping()
    assert target.resident_bytes() - before < 64 * MEGABYTE


@pytest.mark.parametrize(
    ("kind", "payload"), [(PING, bytes(8)), (SETTINGS, b""), (SETTINGS, struct.pack(">HI", 4, 65_535))]
)
def test_a_flood_of_control_frames(target: Server, connection: Connection, kind: int, payload: bytes) -> None:
    before = target.resident_bytes()
    for _ in range(2_000):
        connection.frame(kind, 0, 0, payload)
    connection.ping()
    assert target.resident_bytes() - before < 64 * MEGABYTE


def test_a_header_block_without_end(connection: Connection, target: Server) -> None:
    before = target.resident_bytes()
    connection.frame(HEADERS, 0, 1, b"")
    for _ in range(2_000):
        connection.frame(CONTINUATION, 0, 1, b"\0\x01a\x7f\x81\x7e" + b"x" * 16_000)
        if connection.closed:
            break
    assert target.resident_bytes() - before < 64 * MEGABYTE


def test_what_is_under_way_at_a_goaway_of_the_client_is_answered(connection: Connection) -> None:
    stream = connection.headers(grpc_fields(LIVE))
    connection.frame(GOAWAY, 0, 0, bytes(8))
    connection.data(stream, prefixed(b""), end=True)
    assert connection.response(stream).grpc_status == grpc.StatusCode.OK
    connection.wait_closed()
    assert connection.goaway == 0


@pytest.mark.parametrize("seed", range(8))
def test_random_frames(target: Server, bystander: Client, seed: int) -> None:
    assert bystander
    chance = random.Random(seed)
    for _ in range(20):
        with Connection(target.port) as connection:
            for _ in range(30):
                connection.frame(
                    chance.randrange(12),
                    chance.randrange(256),
                    chance.randrange(8),
                    chance.randbytes(chance.choice([0, 4, 8, 50, 500])),
                )


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_after_the_preface(target: Server, bystander: Client, seed: int) -> None:
    assert bystander
    chance = random.Random(seed)
    for _ in range(20):
        with Connection(target.port) as connection:
            connection.send(chance.randbytes(4_000))


def test_a_connection_that_vanishes_in_the_middle_of_everything(target: Server, bystander: Client) -> None:
    assert bystander
    message = prefixed(request("scale", x=floats(1, 10_000)).SerializeToString())
    for cut in range(0, len(message), len(message) // 40):
        with Connection(target.port) as connection:
            for path in (INFER, STREAM):
                stream = connection.headers(grpc_fields(path))
                connection.data(stream, message[:cut])
