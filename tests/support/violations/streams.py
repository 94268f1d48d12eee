"""The life of streams: their numbers, their states, their windows."""

import struct

from support import hpack
from support.http2 import (
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PRIORITY,
    WITH_PRIORITY,
    framed,
)
from support.violations import Answers, Code, Ends, Resets, Violation
from support.violations.build import LIVE, call, data, head, reset, settings, update, watch

PROTOCOL = Ends(Code.PROTOCOL_ERROR)
CLOSED = Code.STREAM_CLOSED

#: The RFC has STREAM_CLOSED. h2 ends the connection, and calls it a violation, which it is.
OVER = PROTOCOL

INITIAL_WINDOW_SIZE = 4
LARGEST_WINDOW = (1 << 31) - 1

#: What the server takes unread: for a stream, for the connection, and of streams.
STREAM_WINDOW, CONNECTION_WINDOW, MOST_STREAMS = 8 << 20, 32 << 20, 2_048
MEGABYTE = bytes(1 << 20)

ON_ITSELF = struct.pack(">IB", 1, 15)

NUMBERS = [
    Violation("a stream of an even number", "5.1.1", call(2), PROTOCOL),
    Violation("a stream of a lower number", "5.1.1", call(5) + call(3), PROTOCOL),
    Violation("DATA on an idle stream", "5.1", data(1), PROTOCOL),
    Violation("RST_STREAM on an idle stream", "5.1", reset(1), PROTOCOL),
    Violation("WINDOW_UPDATE on an idle stream", "5.1", update(1, 1), PROTOCOL),
    Violation("PRIORITY on an idle stream", "5.1", framed(PRIORITY, 0, 1, bytes(5)) + call(1), Answers()),
    Violation(
        "more streams than are allowed",
        "5.1.2",
        b"".join(head(1 + 2 * each) for each in range(MOST_STREAMS + 1)) + reset(1),
        Resets(Code.REFUSED_STREAM, 1 + 2 * MOST_STREAMS),
    ),
]

HALF_CLOSED = [
    Violation("DATA behind the end of its stream", "5.1", watch(1, end=True) + data(1), OVER),
    Violation("HEADERS behind the end of its stream", "5.1", watch(1, end=True) + head(1, end=True), OVER),
    Violation(
        "WINDOW_UPDATE behind the end of its stream",
        "5.1",
        watch(1, end=True) + update(1, 1) + call(3),
        Answers(stream=3),
    ),
    Violation(
        "PRIORITY behind the end of its stream",
        "5.1",
        watch(1, end=True) + framed(PRIORITY, 0, 1, bytes(5)) + call(3),
        Answers(stream=3),
    ),
    Violation(
        "RST_STREAM behind the end of its stream",
        "5.1",
        watch(1, end=True) + reset(1) + call(3),
        Answers(stream=3),
    ),
]

CLOSED_BY_BOTH = [
    Violation("DATA on a stream that is over", "6.1", data(1), Resets(CLOSED), first=call(1)),
    Violation("HEADERS on a stream that is over", "5.1", head(1, end=True), OVER, first=call(1)),
    Violation(
        "WINDOW_UPDATE on a stream that is over",
        "5.1",
        update(1, 1) + call(3),
        Answers(stream=3),
        first=call(1),
    ),
    Violation(
        "PRIORITY on a stream that is over",
        "5.1",
        framed(PRIORITY, 0, 1, bytes(5)) + call(3),
        Answers(stream=3),
        first=call(1),
    ),
    Violation(
        "RST_STREAM on a stream that is over", "5.1", reset(1) + call(3), Answers(stream=3), first=call(1)
    ),
]

CLOSED_BY_RESET = [
    Violation("DATA behind its own RST_STREAM", "5.1", watch(1) + reset(1) + data(1), Resets(CLOSED)),
    Violation("HEADERS behind its own RST_STREAM", "5.1", watch(1) + reset(1) + head(1, end=True), OVER),
]

DEPENDENCIES = [
    Violation(
        "PRIORITY on itself",
        "7540 5.3.1",
        watch(1) + framed(PRIORITY, 0, 1, ON_ITSELF),
        Resets(Code.PROTOCOL_ERROR),
    ),
    Violation(
        "HEADERS that depend on themselves",
        "7540 5.3.1",
        framed(HEADERS, END_HEADERS | WITH_PRIORITY, 1, ON_ITSELF + hpack.encode(LIVE)),
        Resets(Code.PROTOCOL_ERROR),
    ),
]

WINDOWS = [
    Violation(
        "a stream's window beyond 2^31-1",
        "6.9.1",
        settings((INITIAL_WINDOW_SIZE, 100)) + watch(1) + update(1, LARGEST_WINDOW),
        Resets(Code.FLOW_CONTROL_ERROR),
    ),
    Violation(
        "the connection's window beyond 2^31-1",
        "6.9.1",
        update(0, LARGEST_WINDOW),
        Ends(Code.FLOW_CONTROL_ERROR),
    ),
    Violation(
        "a stream's window beyond 2^31-1 by SETTINGS",
        "6.9.2",
        settings((INITIAL_WINDOW_SIZE, 0))
        + head(1)
        + update(1, LARGEST_WINDOW)
        + settings((INITIAL_WINDOW_SIZE, 1)),
        Ends(Code.FLOW_CONTROL_ERROR),
    ),
    Violation(
        "DATA beyond the stream's window",
        "6.9.1",
        watch(1) + 9 * data(1, MEGABYTE),
        Resets(Code.FLOW_CONTROL_ERROR),
        holds=STREAM_WINDOW,
    ),
    Violation(
        "DATA beyond the connection's window",
        "6.9.1",
        b"".join(watch(stream) + 7 * data(stream, MEGABYTE) for stream in (1, 3, 5, 7))
        + watch(9)
        + 5 * data(9, MEGABYTE),
        Ends(Code.FLOW_CONTROL_ERROR),
        holds=CONNECTION_WINDOW,
    ),
]

ENDS = [
    Violation(
        "GOAWAY while nothing is under way", "6.8", framed(GOAWAY, 0, 0, bytes(8)), Ends(Code.NO_ERROR)
    ),
]

STREAMS = [*NUMBERS, *HALF_CLOSED, *CLOSED_BY_BOTH, *CLOSED_BY_RESET, *DEPENDENCIES, *WINDOWS, *ENDS]
