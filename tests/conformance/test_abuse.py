"""Floods: each is ended with ENHANCE_YOUR_CALM and a word for it, is logged, and harms nobody else."""

import struct
from collections.abc import Callable

import pytest
from support.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADERS,
    PING,
    PRIORITY,
    SETTINGS,
    WINDOW_UPDATE,
    Connection,
    grpc_fields,
)
from support.server import Server

INFER = "/inference.GRPCInferenceService/ModelInfer"

ENHANCE_YOUR_CALM = 11

Flood = Callable[[Connection], None]


def resets(connection: Connection) -> None:
    for _ in range(600):
        connection.reset(connection.headers(grpc_fields(INFER)))


def pings(connection: Connection) -> None:
    for _ in range(4):
        connection.frame(PING, 0, 0, bytes(8))


def settings(connection: Connection) -> None:
    for _ in range(2_000):
        connection.frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535))


def priorities(connection: Connection) -> None:
    for _ in range(2_000):
        connection.frame(PRIORITY, 0, 1, bytes(5))


def window_updates(connection: Connection) -> None:
    connection.frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535))
    stream = connection.headers(grpc_fields(INFER))
    for _ in range(3_000):
        connection.frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 1))


def unknown_frames(connection: Connection) -> None:
    for _ in range(2_000):
        connection.frame(77, 0, 0, b"")


def empty_data(connection: Connection) -> None:
    stream = connection.headers(grpc_fields(INFER))
    for _ in range(1_000):
        connection.frame(DATA, 0, stream)


def empty_continuations(connection: Connection) -> None:
    connection.frame(HEADERS, 0, 1)
    for _ in range(1_000):
        connection.frame(CONTINUATION, 0, 1)


FLOODS: dict[str, tuple[Flood, str]] = {
    "resets": (resets, "resets"),
    "pings": (pings, "too_many_pings"),
    "settings": (settings, "too_many_control_frames"),
    "priorities": (priorities, "too_many_priority_frames"),
    "window updates": (window_updates, "too_many_window_updates"),
    "unknown frames": (unknown_frames, "too_many_control_frames"),
    "empty data": (empty_data, "data_frames|empty_frames"),
    "empty continuations": (empty_continuations, "continuations|empty_frames"),
}


@pytest.mark.parametrize(("flood", "word"), FLOODS.values(), ids=FLOODS.keys())
def test_floods_end_the_connection(target: Server, connection: Connection, flood: Flood, word: str) -> None:
    flood(connection)
    assert connection.wait_goaway() == ENHANCE_YOUR_CALM
    assert any(part in connection.goaway_reason for part in word.split("|")), connection.goaway_reason
    connection.wait_closed()
    address = f"127.0.0.1:{connection.own_port}"
    record = target.wait_for("connection-abused", lambda it: it["client.address"] == address)
    assert record["log.level"] == "warning"


def test_a_header_block_without_end_ends_the_connection(connection: Connection) -> None:
    connection.frame(HEADERS, 0, 1)
    for _ in range(40):
        connection.frame(CONTINUATION, 0, 1, b"\0\x01a\x7f\x81\x7e" + b"x" * 10)
    assert connection.wait_goaway() in (ENHANCE_YOUR_CALM, 1, 9)
    connection.wait_closed()


@pytest.mark.parametrize("name", [b"x-bomb", b"cookie"])
def test_headers_are_measured_as_they_are_when_decoded(
    target: Server, connection: Connection, name: bytes
) -> None:
    """4 KB once in the table, and 4,000 times named by one byte: 16 MB from 8 KB."""
    before = target.resident_bytes()
    value = b"v" * 3_900
    entry = b"\x40" + bytes([len(name)]) + name + b"\x7f" + integer(len(value) - 127) + value
    connection.frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x84" + entry + b"\xbe" * 4_000)
    connection.frame(HEADERS, END_HEADERS, 3, b"\x83\x86\x84" + b"\xbe" * 4_000)
    connection.ping()
    assert target.resident_bytes() - before < 8 << 20


def integer(value: int) -> bytes:
    """The rest of an HPACK integer."""
    coded = b""
    while value >= 128:
        coded += bytes([value % 128 + 128])
        value //= 128
    return coded + bytes([value])
