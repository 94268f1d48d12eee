"""A gRPC server by hand, on a port of loopback: answers, or does to its peer what no library would.

It says of itself that it keeps no table of headers and does not look at them: any method of any service is
answered the same.
"""

import contextlib
import heapq
import itertools
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from support import hpack
from support.holders import peer_serial
from support.http2 import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    framed,
    prefixed,
)

SECONDS = 20.0

HEAD = hpack.encode([(":status", "200"), ("content-type", "application/grpc")])
GOOD = hpack.encode([("grpc-status", "0")])

#: Larger than any request of a test.
_WINDOW = (1 << 31) - 1
_HEADER_TABLE_SIZE, _INITIAL_WINDOW_SIZE = 1, 4

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass
class Link:
    """A connection of a peer."""

    socket: socket.socket
    #: Of the peer's certificate, where TLS is spoken.
    serial: int | None = None
    #: Bytes of bodies so far.
    received: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _sending: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ended(self) -> bool:
        """Whether this side wants no more of it."""
        return self._ended.is_set()

    def send(self, data: bytes) -> None:
        """Send bytes as they are; whether the peer is still there is for the reader to find out."""
        with self._sending, contextlib.suppress(OSError):
            self.socket.sendall(data)

    def cut(self) -> None:
        """End the connection with a reset of TCP, and without a word."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.end()

    def wait_for_end(self) -> None:
        """Return when the test is over; meanwhile nothing is read."""
        assert self._ended.wait(SECONDS)

    def end(self) -> None:
        """End the connection; its reader closes the socket, because nobody else may."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)


@dataclass(frozen=True)
class Exchange:
    """One request, which was received whole."""

    link: Link
    stream: int
    body: bytes
    #: Does something after so many seconds.
    later: Callable[[float, Callable[[], None]], None]

    def answer(self, message: bytes = b"") -> None:
        """With one message and OK."""
        self.link.send(
            framed(HEADERS, END_HEADERS, self.stream, HEAD)
            + framed(DATA, 0, self.stream, prefixed(message))
            + framed(HEADERS, END_HEADERS | END_STREAM, self.stream, GOOD)
        )

    def refuse(self, code: int, message: str) -> None:
        """With a status, in headers alone."""
        fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", str(code))]
        block = hpack.encode([*fields, ("grpc-message", message)])
        self.link.send(framed(HEADERS, END_HEADERS | END_STREAM, self.stream, block))

    def reset(self, code: int) -> None:
        """With RST_STREAM."""
        self.link.send(framed(RST_STREAM, 0, self.stream, struct.pack(">I", code)))


class Clock:
    """Does things when their time has come, one after the other."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._news = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do this after so many seconds."""
        with self._news:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), act))
            self._news.notify()

    def close(self) -> None:
        """Forget what is not due."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join(SECONDS)

    def _run(self) -> None:
        while (act := self._next()) is not None:
            act()

    def _next(self) -> Callable[[], None] | None:
        with self._news:
            while not self._closed:
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._due)[2]
                self._news.wait(left)
        return None


#: What is done with each request.
Behaviour = Callable[[Exchange], None]

#: A frame: its kind, flags, stream and payload.
Frame = tuple[int, int, int, bytes]

#: What is done with a connection behind the preface, in place of what a server does: gets the peer's frames.
#: Ends with an OSError when the peer has gone.
Takeover = Callable[[Link, Iterator[Frame]], None]


def answers(exchange: Exchange) -> None:
    """Does what it should."""
    exchange.answer()


def answers_after(seconds: float) -> Behaviour:
    """The same, late."""

    return lambda exchange: exchange.later(seconds, exchange.answer)


def refuses(code: int, message: str = "not now") -> Behaviour:
    """Says that it does not."""
    return lambda exchange: exchange.refuse(code, message)


def resets(code: int) -> Behaviour:
    """Gives each request up."""
    return lambda exchange: exchange.reset(code)


def cuts(exchange: Exchange) -> None:
    """Ends the connection."""
    exchange.link.cut()


class CutFirst:
    """Cuts the first connections that come to so many bytes of bodies; servers may share it."""

    def __init__(self, after: int, times: int = 1) -> None:
        self._after = after
        self._left = times
        self._lock = threading.Lock()

    def __call__(self, link: Link) -> bool:
        """Whether it is the turn of this one."""
        with self._lock:
            due = self._left > 0 and link.received >= self._after
            self._left -= due
            return due


class ScriptedUpstream:
    """Its ``behaviour`` may change at any time."""

    def __init__(
        self,
        behaviour: Behaviour = answers,
        *,
        cut: CutFirst | None = None,
        tls: ssl.SSLContext | None = None,
        takeover: Takeover | None = None,
    ) -> None:
        self.behaviour = behaviour
        #: Requests that were received whole.
        self.requests = 0
        self.links: list[Link] = []
        self._cut = cut
        self._tls = tls
        self._takeover = takeover
        self._news = threading.Condition()
        self._clock = Clock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def wait_for(self, holds: Callable[[], bool], what: str) -> None:
        """Return when a condition on what it has received holds."""
        with self._news:
            assert self._news.wait_for(holds, SECONDS), f"not within {SECONDS} s: {what}"

    def close(self) -> None:
        """End everything at once."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in list(self.links):
            link.cut()
        self._clock.close()
        for thread in list(self._threads):
            thread.join(SECONDS)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(accepted,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, accepted: socket.socket) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(accepted)
        self._tell(lambda: self.links.append(link))
        try:
            # A peer that goes away, in whatever way, has that right.
            with contextlib.suppress(OSError):
                self._speak(link)
        finally:
            link.socket.close()

    def _speak(self, link: Link) -> None:
        if self._tls is not None:
            link.socket = secured = self._tls.wrap_socket(link.socket, server_side=True)
            link.serial = peer_serial(secured)
        received = _Received(link)
        if received.take(len(PREFACE)) != PREFACE:
            return
        if self._takeover is not None:
            self._takeover(link, received.frames())
            return
        pairs = [(_HEADER_TABLE_SIZE, 0), (_INITIAL_WINDOW_SIZE, _WINDOW)]
        link.send(framed(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs)))
        link.send(framed(WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW - 65_535)))
        self._read(link, received)

    def _read(self, link: Link, received: "_Received") -> None:
        bodies: dict[int, bytearray] = {}
        for kind, flags, stream, payload in received.frames():
            match kind:
                case 4 if not flags & ACK:
                    link.send(framed(SETTINGS, ACK))
                case 6 if not flags & ACK:
                    link.send(framed(PING, ACK, 0, payload))
                case 1:
                    bodies[stream] = bytearray()
                case 0:
                    if stream in bodies:
                        bodies[stream] += payload
                    if not self._count(link, len(payload)):
                        link.cut()
                        return
                case 3:
                    bodies.pop(stream, None)
            if kind in (DATA, HEADERS) and flags & END_STREAM and stream in bodies:
                exchange = Exchange(link, stream, bytes(bodies.pop(stream)), self._clock.later)
                self._tell(self._count_request)
                self.behaviour(exchange)

    def _count(self, link: Link, size: int) -> bool:
        """Whether the connection goes on after so many bytes more."""
        link.received += size
        if size:
            link.send(framed(WINDOW_UPDATE, 0, 0, struct.pack(">I", size)))
        return self._cut is None or not self._cut(link)

    def _count_request(self) -> None:
        self.requests += 1

    def _tell(self, change: Callable[[], None]) -> None:
        with self._news:
            change()
            self._news.notify_all()


class _Received:
    """What comes from a connection, in the pieces that are wanted."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._rest = b""

    def take(self, size: int) -> bytes:
        """So many bytes; less at the end."""
        parts, missing = [self._rest], size - len(self._rest)
        while missing > 0 and not self._link.ended and (chunk := self._link.socket.recv(1 << 16)):
            parts.append(chunk)
            missing -= len(chunk)
        whole = b"".join(parts)
        self._rest = whole[size:]
        return whole[:size]

    def frames(self) -> Iterator[Frame]:
        """Kind, flags, stream and payload of each, to the end of the connection."""
        while not self._link.ended and len(head := self.take(9)) == 9:
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            payload = self.take(int.from_bytes(head[:3], "big"))
            yield kind, flags, stream & 0x7FFF_FFFF, payload


@contextlib.contextmanager
def scripted(behaviour: Behaviour = answers, **options: object) -> Iterator[ScriptedUpstream]:
    """One for as long as the block lasts."""
    upstream = ScriptedUpstream(behaviour, **options)  # type: ignore[arg-type]
    try:
        yield upstream
    finally:
        upstream.close()
