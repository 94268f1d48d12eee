"""The form of frames: the preface, sizes, the streams that each kind belongs to, values, padding."""

from support import hpack
from support.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    framed,
)
from support.violations import Answers, Closes, Code, Ends, Violation
from support.violations.build import LIVE, MESSAGE, call, data, head, settings, update, watch

PROTOCOL = Ends(Code.PROTOCOL_ERROR)
SIZE = Ends(Code.FRAME_SIZE_ERROR)

#: The RFC has FRAME_SIZE_ERROR, and FLOW_CONTROL_ERROR for a window. h2 has one code for every frame that it
#: cannot read. The connection ends as it has to, and nobody acts on the difference.
UNREADABLE = PROTOCOL

ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 2, 4, 5
UNKNOWN_SETTING, UNKNOWN_KIND = 0xF000, 0x77

BLOCK = hpack.encode(LIVE)

#: The largest frame that the server takes.
MEGABYTE = 1 << 20

PREFACES = [
    # "A GOAWAY frame MAY be omitted": such a peer may not speak HTTP/2.
    Violation("another preface", "3.4", b"", Closes(), preface=PREFACE.replace(b"SM", b"XM")),
    # Taken by h2: the client's settings are the RFC's until they come.
    Violation(
        "no SETTINGS behind the preface",
        "3.4",
        call(1),
        Answers(),
        preface=PREFACE + framed(PING, 0, 0, bytes(8)),
    ),
]

SIZES = [
    Violation("a frame larger than allowed", "4.2", head(1) + data(1, bytes(MEGABYTE + 1)), SIZE),
    Violation(
        "HEADERS shorter than its priority",
        "6.2",
        framed(HEADERS, END_HEADERS | WITH_PRIORITY, 1, bytes(4)),
        UNREADABLE,
    ),
    Violation("PRIORITY of four bytes", "6.3", framed(PRIORITY, 0, 1, bytes(4)), UNREADABLE),
    Violation("RST_STREAM of three bytes", "6.4", watch(1) + framed(RST_STREAM, 0, 1, bytes(3)), UNREADABLE),
    Violation("SETTINGS of seven bytes", "6.5", framed(SETTINGS, 0, 0, bytes(7)), UNREADABLE),
    Violation("an acknowledgement with settings", "6.5", framed(SETTINGS, ACK, 0, bytes(6)), UNREADABLE),
    Violation("PING of seven bytes", "6.7", framed(PING, 0, 0, bytes(7)), UNREADABLE),
    Violation("PING of nine bytes", "6.7", framed(PING, 0, 0, bytes(9)), UNREADABLE),
    Violation("GOAWAY of seven bytes", "6.8", framed(GOAWAY, 0, 0, bytes(7)), UNREADABLE),
    Violation("WINDOW_UPDATE of five bytes", "6.9", framed(WINDOW_UPDATE, 0, 0, bytes(5)), UNREADABLE),
]

STREAMS = [
    Violation("DATA on stream 0", "6.1", framed(DATA, 0, 0, MESSAGE), PROTOCOL),
    Violation("HEADERS on stream 0", "6.2", framed(HEADERS, END_HEADERS, 0, BLOCK), PROTOCOL),
    Violation("PRIORITY on stream 0", "6.3", framed(PRIORITY, 0, 0, bytes(5)), PROTOCOL),
    Violation("RST_STREAM on stream 0", "6.4", framed(RST_STREAM, 0, 0, bytes(4)), PROTOCOL),
    Violation("CONTINUATION on stream 0", "6.10", framed(CONTINUATION, END_HEADERS, 0, BLOCK), PROTOCOL),
    Violation("SETTINGS on a stream", "6.5", framed(SETTINGS, 0, 1), PROTOCOL),
    Violation("PING on a stream", "6.7", framed(PING, 0, 1, bytes(8)), PROTOCOL),
    Violation("GOAWAY on a stream", "6.8", framed(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    Violation(
        "PUSH_PROMISE of a client",
        "8.4",
        watch(1) + framed(PUSH_PROMISE, END_HEADERS, 1, bytes([0, 0, 0, 2]) + BLOCK),
        PROTOCOL,
    ),
    Violation(
        "the reserved bit of a stream",
        "4.1",
        framed(HEADERS, END_HEADERS, 1 << 31 | 1, BLOCK) + data(1, end=True),
        Answers(),
    ),
    Violation(
        "flags that a kind does not have",
        "4.1",
        framed(HEADERS, END_HEADERS | 0xD2, 1, BLOCK) + framed(DATA, 0xF6 | END_STREAM, 1, MESSAGE),
        Answers(),
    ),
    Violation(
        "frames of unknown kinds",
        "4.1",
        framed(UNKNOWN_KIND, 0xFF, 0, b"?")
        + head(1)
        + framed(UNKNOWN_KIND, 0xFF, 1, b"?")
        + data(1, end=True),
        Answers(),
    ),
]

VALUES = [
    Violation("ENABLE_PUSH of 2", "6.5.2", settings((ENABLE_PUSH, 2)), PROTOCOL),
    Violation("an initial window of 2^31", "6.5.2", settings((INITIAL_WINDOW_SIZE, 1 << 31)), UNREADABLE),
    Violation("frames of at most 16,383 bytes", "6.5.2", settings((MAX_FRAME_SIZE, (1 << 14) - 1)), PROTOCOL),
    Violation("frames of at most 2^24 bytes", "6.5.2", settings((MAX_FRAME_SIZE, 1 << 24)), PROTOCOL),
    Violation("an unknown setting", "6.5.2", settings((UNKNOWN_SETTING, 1)) + call(1), Answers()),
    Violation(
        "an acknowledgement of nothing",
        "6.5.3",
        framed(SETTINGS, ACK),
        # The RFC is silent. h2 is strict with peers that have lost count.
        PROTOCOL,
    ),
    Violation("an update of nothing", "6.9", watch(1) + update(1, 0), PROTOCOL),
    Violation("an update of nothing for the connection", "6.9", update(0, 0), PROTOCOL),
    Violation(
        "padding as long as its frame",
        "6.1",
        head(1) + framed(DATA, PADDED, 1, b"\x04abc"),
        PROTOCOL,
    ),
    Violation("padding longer than its DATA", "6.1", head(1) + framed(DATA, PADDED, 1, b"\xff"), PROTOCOL),
    Violation(
        "padding longer than its HEADERS",
        "6.2",
        framed(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + BLOCK[:200]),
        PROTOCOL,
    ),
    Violation("padding without its length", "6.1", head(1) + framed(DATA, PADDED, 1), UNREADABLE),
    Violation(
        "padding that is not zero",
        "6.1",
        head(1) + framed(DATA, PADDED | END_STREAM, 1, b"\x02" + MESSAGE + b"\x01\x01"),
        Answers(),
    ),
]

BLOCKS = [
    Violation("CONTINUATION of nothing", "6.10", framed(CONTINUATION, END_HEADERS, 1, BLOCK), PROTOCOL),
    Violation(
        "CONTINUATION of a whole block",
        "6.10",
        head(1) + framed(CONTINUATION, END_HEADERS, 1, BLOCK),
        PROTOCOL,
    ),
] + [
    Violation(f"{name} within a header block", "6.2", framed(HEADERS, 0, 1, BLOCK[:20]) + between, PROTOCOL)
    for name, between in {
        "HEADERS of another stream": head(3),
        "HEADERS of the same stream": framed(HEADERS, END_HEADERS, 1, BLOCK[20:]),
        "CONTINUATION of another stream": framed(CONTINUATION, END_HEADERS, 3, BLOCK[20:]),
        "DATA": data(1),
        "PING": framed(PING, 0, 0, bytes(8)),
        "SETTINGS": settings(),
        "WINDOW_UPDATE": update(0, 1),
        "PRIORITY": framed(PRIORITY, 0, 3, bytes(5)),
        "RST_STREAM": framed(RST_STREAM, 0, 1, bytes(4)),
        "a frame of an unknown kind": framed(UNKNOWN_KIND, 0, 0),
    }.items()
]

FRAMES = [*PREFACES, *SIZES, *STREAMS, *VALUES, *BLOCKS]
