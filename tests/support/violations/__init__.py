"""What a broken or hostile peer can do to HTTP/2 (RFC 9113) and HPACK (RFC 7541), and what happens then.

Each table holds the violations of one concern. A row is what is sent, where the RFC speaks of it, and the
reaction. Where h2, the crate that speaks HTTP/2 here, reacts in another way than the RFC has it, a comment
says why that does no harm. That a stream error becomes a connection error needs none: section 5.4 allows it.
"""

from dataclasses import dataclass
from enum import IntEnum

import grpc

from support.http2 import PREFACE, Connection, Response
from support.violations.build import call

OK = grpc.StatusCode.OK

#: A stream that no row uses.
_LATER = 9_999


class Code(IntEnum):
    """RFC 9113, section 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11


@dataclass(frozen=True)
class Ends:
    """A connection error (5.4.1): GOAWAY with this code, and the end."""

    code: Code

    def check(self, connection: Connection) -> None:
        """Fail if anything else happens."""
        assert Code(connection.wait_goaway()) is self.code, connection.goaway_reason
        connection.wait_closed()


@dataclass(frozen=True)
class Closes:
    """The end, without a word."""

    def check(self, connection: Connection) -> None:
        """Fail if anything else happens."""
        connection.wait_closed()
        assert connection.goaway is None


@dataclass(frozen=True)
class Resets:
    """A stream error (5.4.2): RST_STREAM with this code; the connection goes on."""

    code: Code
    stream: int = 1

    def check(self, connection: Connection) -> None:
        """Fail if anything else happens."""
        # What it was answered before does not count.
        connection.responses[self.stream] = Response()
        response = connection.response(self.stream)
        assert (response.reset, connection.goaway) == (self.code, None), response
        _goes_on(connection)


@dataclass(frozen=True)
class Answers:
    """The call on this stream is answered as if nothing had been; the connection goes on."""

    stream: int = 1

    def check(self, connection: Connection) -> None:
        """Fail if anything else happens."""
        response = _over(connection, self.stream)
        assert (response.grpc_status, connection.goaway) == (OK, None), response
        _goes_on(connection)


def _over(connection: Connection, stream: int) -> Response:
    connection.responses.setdefault(stream, Response())
    return connection.response(stream)


def _goes_on(connection: Connection) -> None:
    connection.send(call(_LATER))
    assert _over(connection, _LATER).grpc_status is OK


Reaction = Ends | Closes | Resets | Answers


@dataclass(frozen=True)
class Violation:
    """One row."""

    name: str
    #: Where it is forbidden: a section of RFC 9113, or, with the RFC's number before it, of another.
    section: str
    sends: bytes
    reaction: Reaction
    #: A call on stream 1 that is answered before.
    first: bytes = b""
    preface: bytes = PREFACE
    #: Bytes that the server must take in before it can know.
    holds: int = 0
