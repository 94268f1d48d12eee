"""The bytes that rows are made of."""

import struct

from support import hpack
from support.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Fields,
    framed,
    grpc_fields,
    prefixed,
)

#: A call that is answered when its message is there, and one that is answered again and again.
LIVE = grpc_fields("/inference.GRPCInferenceService/ServerLive")
WATCH = grpc_fields("/grpc.health.v1.Health/Watch")

MESSAGE = prefixed(b"")


def head(stream: int, fields: Fields = LIVE, *, end: bool = False) -> bytes:
    """A request's headers."""
    return framed(HEADERS, END_HEADERS | END_STREAM * end, stream, hpack.encode(fields))


def data(stream: int, content: bytes = MESSAGE, *, end: bool = False) -> bytes:
    """Content in one frame."""
    return framed(DATA, END_STREAM * end, stream, content)


def call(stream: int, fields: Fields = LIVE) -> bytes:
    """A whole call of an empty message."""
    return head(stream, fields) + data(stream, end=True)


def watch(stream: int, *, end: bool = False) -> bytes:
    """A call that goes on; the server reads no more than its message."""
    return head(stream, WATCH) + data(stream, end=end)


def settings(*pairs: tuple[int, int]) -> bytes:
    """Identifiers and values."""
    return framed(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def update(stream: int, increment: int) -> bytes:
    """WINDOW_UPDATE."""
    return framed(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def reset(stream: int, code: int = 8) -> bytes:
    """RST_STREAM."""
    return framed(RST_STREAM, 0, stream, struct.pack(">I", code))
