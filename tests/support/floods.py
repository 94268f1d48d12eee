"""What a peer does that does more of something than anybody needs, and the word for it in its farewell."""

import struct
from collections.abc import Callable

from support.http2 import (
    CONTINUATION,
    DATA,
    HEADERS,
    PING,
    PRIORITY,
    SETTINGS,
    WINDOW_UPDATE,
    Connection,
    grpc_fields,
)

INFER = "/inference.GRPCInferenceService/ModelInfer"

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


def header_bomb(name: bytes) -> bytes:
    """A request's headers: 4 KB once in the table, and 4,000 times named by one byte: 16 MB from 8 KB."""
    return b"\x83\x86\x84" + swollen(name)


def swollen(name: bytes) -> bytes:
    """The same behind anything else."""
    value = b"v" * 3_900
    entry = b"\x40" + bytes([len(name)]) + name + b"\x7f" + integer(len(value) - 127) + value
    return entry + b"\xbe" * 4_000


def integer(value: int) -> bytes:
    """The rest of an HPACK integer."""
    coded = b""
    while value >= 128:
        coded += bytes([value % 128 + 128])
        value //= 128
    return coded + bytes([value])
