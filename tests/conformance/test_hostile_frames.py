"""HTTP/2 frames out of place, and floods of them: the connection may end, the server goes on."""

import random
import struct

import grpc
import pytest
from support.client import Client, floats, request
from support.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
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


FRAMES = {
    "data before headers": [(DATA, 0, 1, b"abc")],
    "data on the connection": [(DATA, 0, 0, b"abc")],
    "headers on the connection": [(HEADERS, END_HEADERS, 0, b"")],
    "headers on an even stream": [(HEADERS, END_HEADERS, 2, b"\x83")],
    "headers that are no HPACK": [(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff")],
    "an index that is in no table": [(HEADERS, END_HEADERS, 1, b"\xfe")],
    "continuation of nothing": [(CONTINUATION, END_HEADERS, 1, b"")],
    "window update of zero": [(WINDOW_UPDATE, 0, 0, bytes(4))],
    "window beyond its limit": [(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")],
    "settings of seven bytes": [(SETTINGS, 0, 0, bytes(7))],
    "settings on a stream": [(SETTINGS, 0, 1, b"")],
    "ping of seven bytes": [(PING, 0, 0, bytes(7))],
    "reset of an idle stream": [(RST_STREAM, 0, 99, bytes(4))],
    "padding beyond the frame": [(DATA, 0x8, 1, b"\xff")],
}


@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES.keys())
def test_frames_that_the_protocol_forbids_end_the_connection(
    connection: Connection, frames: list[tuple[int, int, int, bytes]]
) -> None:
    assert connection.ping()
    for frame in frames:
        connection.frame(*frame)
    connection.wait_closed()


def test_a_frame_beyond_the_size_limit_ends_the_connection(connection: Connection) -> None:
    assert connection.ping()
    stream = connection.headers(grpc_fields(INFER))
    connection.send(b"\xff\xff\xff" + struct.pack(">BBI", DATA, 0, stream))
    connection.wait_closed()


def test_frames_of_unknown_kinds_are_ignored(connection: Connection) -> None:
    for kind in range(20, 256, 7):
        connection.frame(kind, 0xFF, 0, b"whatever")
    assert connection.response(connection.grpc(LIVE, b"")).grpc_status == grpc.StatusCode.OK


def test_a_goaway_of_the_client_ends_its_connection(connection: Connection) -> None:
    assert connection.ping()
    connection.frame(GOAWAY, 0, 0, bytes(8))
    connection.wait_closed()


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


def test_more_streams_than_are_allowed_are_refused_one_by_one(connection: Connection) -> None:
    streams = [connection.headers(grpc_fields(STREAM)) for _ in range(2_200)]
    assert connection.ping()
    refused = [stream for stream in streams if connection.responses[stream].reset is not None]
    # REFUSED_STREAM: the client may try again.
    assert {connection.responses[stream].reset for stream in refused} <= {7}
    connection.reset(streams[0])
    assert connection.response(connection.grpc(LIVE, b"")).grpc_status == grpc.StatusCode.OK
