"""HTTP/2 by hand, as far as a client needs it that wants to do things no library would."""

import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from support import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
PRIORITY, PUSH_PROMISE = 2, 5
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
PADDED, WITH_PRIORITY = 0x8, 0x20

CANCEL = 8
MAX_FRAME = 16_384

Fields = Iterable[tuple[str, str]]

_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass
class Response:
    """What has come for one stream; ``reset`` is an error code, ``closed`` the end of the connection."""

    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    ended: bool = False
    reset: int | None = None
    closed: bool = False

    @property
    def http_status(self) -> int | None:
        """The status of HTTP."""
        return int(self.headers[":status"]) if ":status" in self.headers else None

    @property
    def grpc_status(self) -> grpc.StatusCode | None:
        """The status of gRPC, from the trailers or from headers that are both."""
        found = self.trailers.get("grpc-status") or self.headers.get("grpc-status")
        return None if found is None else _CODES[int(found)]

    @property
    def grpc_message(self) -> str:
        """The message beside it."""
        return self.trailers.get("grpc-message") or self.headers.get("grpc-message") or ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.ended or self.closed or self.reset is not None


class Connection:
    """One connection; everything that arrives is sorted into ``responses`` while something is awaited."""

    def __init__(self, address: int | Path, *, preface: bytes = PREFACE, seconds: float = 20) -> None:
        """To a port of loopback, or to a unix socket."""
        self.socket = _connect(address, seconds)
        self.responses: dict[int, Response] = {}
        self.goaway: int | None = None
        self.goaway_reason = ""
        #: The last stream that the peer has looked at or will look at.
        self.last_stream: int | None = None
        self.closed = False
        self._seconds = seconds
        self._next_stream = 1
        self._received = b""
        self._pongs: set[bytes] = set()
        # No table on the way back: each header block can be read by itself. Windows as wide as they go.
        self.send(preface)
        self.frame(SETTINGS, 0, 0, struct.pack(">HIHI", 1, 0, 4, 2**31 - 1))
        self.frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1 - 65_535))

    @property
    def own_port(self) -> int:
        """Its end, over TCP."""
        return int(self.socket.getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are; a peer that has closed is noticed when it is read from."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def frame(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        """Send one frame."""
        self.send(framed(kind, flags, stream, payload))

    def headers(self, fields: Fields, *, end: bool = False) -> int:
        """Open a stream and return its number."""
        stream = self._next_stream
        self._next_stream += 2
        self.responses[stream] = Response()
        block = hpack.encode(fields)
        parts = [block[at : at + MAX_FRAME] for at in range(0, len(block), MAX_FRAME)] or [b""]
        for index, part in enumerate(parts):
            last = END_HEADERS if index == len(parts) - 1 else 0
            kind, first = (HEADERS, END_STREAM * end) if index == 0 else (CONTINUATION, 0)
            self.frame(kind, last | first, stream, part)
        return stream

    def data(self, stream: int, content: bytes, *, end: bool = False) -> None:
        """Send content, in as many frames as it takes; the receiver's window is not minded."""
        parts = [content[at : at + MAX_FRAME] for at in range(0, len(content), MAX_FRAME)] or [b""]
        for index, part in enumerate(parts):
            self.frame(DATA, END_STREAM if end and index == len(parts) - 1 else 0, stream, part)

    def grpc(self, path: str, message: bytes, **more: str) -> int:
        """A whole unary call of one message; ``more`` are headers, underscores for dashes."""
        stream = self.headers(grpc_fields(path, **more))
        self.data(stream, prefixed(message), end=True)
        return stream

    def reset(self, stream: int, code: int = CANCEL) -> None:
        """Give a stream up."""
        self.frame(RST_STREAM, 0, stream, struct.pack(">I", code))

    def response(self, stream: int) -> Response:
        """Wait until a stream is over, one way or the other."""
        deadline = time.monotonic() + self._seconds
        response = self.responses[stream]
        while not response.over:
            if not self._receive(deadline):
                response.closed = True
        return response

    def ping(self) -> bool:
        """Whether the peer answers a ping, rather than having closed."""
        deadline = time.monotonic() + self._seconds
        self._pongs.clear()
        self.frame(PING, 0, 0, b"are-you?")
        while not self._pongs:
            if not self._receive(deadline):
                return False
        return True

    def wait_goaway(self) -> int:
        """Wait for the peer's GOAWAY and return its code; fails if the connection ends without."""
        deadline = time.monotonic() + self._seconds
        while self.goaway is None:
            assert self._receive(deadline), "closed without GOAWAY"
        return self.goaway

    def wait_closed(self) -> None:
        """Wait until the peer has closed the connection; fails with a timeout if it stays open."""
        deadline = time.monotonic() + self._seconds
        while self._receive(deadline):
            pass

    def _receive(self, deadline: float) -> bool:
        """Take in one frame; False at the end of the connection."""
        header = self._read(9, deadline)
        if header is None:
            return False
        length = int.from_bytes(header[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", header[3:])
        payload = self._read(length, deadline)
        if payload is None:
            return False
        self._take(kind, flags, stream & 0x7FFF_FFFF, payload)
        return True

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        response = self.responses.get(stream)
        match kind:
            case 4 if not flags & ACK:
                self.frame(SETTINGS, ACK, 0)
            case 6 if flags & ACK:
                self._pongs.add(payload)
            case 6:
                self.frame(PING, ACK, 0, payload)
            case 7:
                self.last_stream, self.goaway = struct.unpack_from(">II", payload)
                self.goaway_reason = payload[8:].decode()
            case 3 if response is not None:
                response.reset = struct.unpack(">I", payload)[0]
            case 0 if response is not None:
                assert not flags & PADDED
                response.data += payload
                response.ended |= bool(flags & END_STREAM)
            case 1 if response is not None:
                # What this server sends is short: never padded, never continued.
                assert flags & END_HEADERS
                assert not flags & (PADDED | WITH_PRIORITY)
                fields = dict(hpack.decode(payload))
                (response.trailers if response.headers else response.headers).update(fields)
                response.ended |= bool(flags & END_STREAM)

    def _read(self, size: int, deadline: float) -> bytes | None:
        while len(self._received) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the peer neither answers nor closes")
            self.socket.settimeout(left)
            try:
                chunk = self.socket.recv(1 << 20)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                self.closed = True
                return None
            self._received += chunk
        taken, self._received = self._received[:size], self._received[size:]
        return taken


def _connect(address: int | Path, seconds: float) -> socket.socket:
    if isinstance(address, int):
        connected = socket.create_connection(("127.0.0.1", address), timeout=seconds)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.settimeout(seconds)
    connected.connect(str(address))
    return connected


def framed(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def grpc_fields(path: str, *, method: str = "POST", **more: str) -> list[tuple[str, str]]:
    """The headers of a call; ``more`` replaces or adds, underscores for dashes."""
    fields = {"te": "trailers", "content-type": "application/grpc"}
    fields |= {name.replace("_", "-"): value for name, value in more.items()}
    return [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
        *fields.items(),
    ]


def prefixed(message: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """A message behind gRPC's prefix, which may lie."""
    return struct.pack(">BI", flag, len(message) if length is None else length) + message
