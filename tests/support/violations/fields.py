"""Header blocks: their compression (RFC 7541), and requests that are malformed (RFC 9113, section 8)."""

from support import hpack
from support.http2 import END_HEADERS, END_STREAM, HEADERS, Fields, framed
from support.violations import Answers, Code, Ends, Reaction, Resets, Violation
from support.violations.build import LIVE, MESSAGE, call, data, head

MALFORMED = Resets(Code.PROTOCOL_ERROR)

#: What h2 cannot decode. The RFC has COMPRESSION_ERROR for what is no HPACK, a stream error for what is no
#: field; h2 has one reaction to both. The connection of who sent it ends, and nobody acts on the code.
UNREADABLE = Ends(Code.PROTOCOL_ERROR)

BLOCK = hpack.encode(LIVE)


def block(name: str, section: str, content: bytes, reaction: Reaction = UNREADABLE) -> Violation:
    """HPACK that cannot be decoded, in a request that is complete otherwise."""
    return Violation(
        name, f"7541 {section}", framed(HEADERS, END_HEADERS, 1, content) + data(1, end=True), reaction
    )


def huffman(coded: bytes) -> bytes:
    """A field whose value is Huffman-coded."""
    return BLOCK + b"\0\x01x" + bytes([0x80 | len(coded)]) + coded


HPACK = [
    block("an index of 0", "6.1", BLOCK + b"\x80"),
    block("an index beyond both tables", "6.1", BLOCK + b"\xfe"),
    block("a name whose index is beyond both tables", "6.2.2", BLOCK + b"\x0f\x6f\x01x"),
    block("an integer without end", "5.1", BLOCK + b"\xff\xff"),
    block("an integer beyond all bounds", "5.1", BLOCK + b"\xff" + 12 * b"\xff" + b"\x01"),
    block("a name longer than its block", "5.2", BLOCK + b"\0\x05ab"),
    block("a value longer than its block", "5.2", BLOCK + b"\0\x01x\x7f\x00abc"),
    block("a block that ends behind a name", "6.2.2", BLOCK + b"\0\x01x"),
    block("Huffman padding of more than seven bits", "5.2", huffman(b"\x1f\xff")),
    block("Huffman padding of zeros", "5.2", huffman(b"\x18")),
    block("Huffman with the end of the string", "5.2", huffman(b"\xff\xff\xff\xff")),
    block("a table larger than allowed", "6.3", b"\x3f\xe2\x1f" + BLOCK),
    block("the size of the table behind a field", "4.2", BLOCK + b"\x20"),
    # Twice is what the RFC has a use for. Each time costs its sender a byte of a block that is bounded.
    block("the size of the table, as often as one likes", "4.2", 100 * b"\x20" + BLOCK, Answers()),
]


def without(name: str) -> Fields:
    return [field for field in LIVE if field[0] != name]


def asks(name: str, section: str, fields: Fields, reaction: Reaction = MALFORMED) -> Violation:
    """A request with these fields, of an empty message."""
    return Violation(name, section, call(1, fields), reaction)


PSEUDO = [
    *(asks(f"no {name}", "8.3.1", without(name)) for name in (":method", ":scheme", ":path")),
    *(
        asks(f"{name} twice", "8.3.1", [field, *LIVE])
        for name, field in ((field[0], field) for field in LIVE[:4])
    ),
    asks("an empty :path", "8.3.1", [(":path", ""), *without(":path")]),
    asks("an unknown pseudo-header", "8.3", [(":unknown", "x"), *LIVE], UNREADABLE),
    asks("a response's pseudo-header", "8.3", [(":status", "200"), *LIVE]),
    asks("a pseudo-header behind a field", "8.3", [*without(":path"), LIVE[2]]),
    asks("CONNECT with a path", "8.5", [(":method", "CONNECT"), *without(":method")]),
]

FIELDS = [
    asks("an uppercase name", "8.2.1", [*LIVE, ("X-Upper", "x")], UNREADABLE),
    asks("a name with a space", "8.2.1", [*LIVE, ("x y", "x")], UNREADABLE),
    asks("a name with a colon", "8.2.1", [*LIVE, ("x:y", "x")], UNREADABLE),
    asks("a name beyond ASCII", "8.2.1", [*LIVE, ("x\xff", "x")], UNREADABLE),
    asks("an empty name", "8.2.1", [*LIVE, ("", "x")], UNREADABLE),
    *(
        asks(f"a value with {name}", "8.2.1", [*LIVE, ("x", f"a{sign}b")], UNREADABLE)
        for name, sign in {"NUL": "\0", "a line feed": "\n", "a carriage return": "\r"}.items()
    ),
    # Taken by h2. Blanks around a value mislead who hands requests on in HTTP/1.1, and nothing here does.
    asks("a value that begins with a space", "8.2.1", [*LIVE, ("x", " a")], Answers()),
    asks("a value that ends with a tab", "8.2.1", [*LIVE, ("x", "a\t")], Answers()),
    *(
        asks(f"the field {name}", "8.2.2", [*LIVE, (name, value)])
        for name, value in {
            "connection": "close",
            "proxy-connection": "close",
            "keep-alive": "5",
            "transfer-encoding": "chunked",
            "upgrade": "h2c",
        }.items()
    ),
    asks("te other than trailers", "8.2.2", [*without("te"), ("te", "gzip")]),
    asks("te with more than trailers", "8.2.2", [*without("te"), ("te", "trailers, gzip")]),
]


def of_length(length: str, *parts: bytes) -> bytes:
    """A request that says its content's length."""
    frames = [data(1, part, end=index == len(parts) - 1) for index, part in enumerate(parts)]
    return head(1, [*LIVE, ("content-length", length)], end=not parts) + b"".join(frames)


def trailers(*fields: tuple[str, str], end: bool = True) -> bytes:
    """Fields behind the content."""
    return framed(HEADERS, END_HEADERS | END_STREAM * end, 1, hpack.encode(fields))


#: Of a message, so that no answer is under way when the rest comes.
PART = MESSAGE[:3]

CONTENT = [
    Violation("less DATA than content-length", "8.1.1", of_length("4", PART), MALFORMED),
    Violation("more DATA than content-length", "8.1.1", of_length("2", PART), MALFORMED),
    Violation(
        "more DATA than content-length, in two frames", "8.1.1", of_length("3", PART, b"\0"), MALFORMED
    ),
    Violation("content-length without DATA", "8.1.1", of_length("3"), MALFORMED),
    Violation("a content-length that is no number", "8.1.1", of_length("three", PART), MALFORMED),
    Violation("a content-length below zero", "8.1.1", of_length("-3", PART), MALFORMED),
    asks("two content-lengths", "8.1.1", [*LIVE, ("content-length", "5"), ("content-length", "6")]),
    Violation(
        "trailers that do not end the stream",
        "8.1",
        head(1) + data(1, PART) + trailers(("x", "y"), end=False),
        MALFORMED,
    ),
    Violation(
        "a pseudo-header in trailers",
        "8.1",
        # Dropped by h2, and of a request nobody here reads trailers.
        head(1) + data(1) + trailers((":path", "/")),
        Answers(),
    ),
]

REQUESTS = [*PSEUDO, *FIELDS, *CONTENT]
