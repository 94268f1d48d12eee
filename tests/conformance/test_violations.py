"""Every violation of HTTP/2 has its reaction, costs no memory, and harms nobody else."""

from pathlib import Path

import pytest
from support.client import Client
from support.http2 import PREFACE, Connection, Response
from support.server import Server
from support.violations import OK, Violation
from support.violations.fields import HPACK, REQUESTS
from support.violations.frames import FRAMES
from support.violations.streams import STREAMS

#: What memory may grow by beside what the server must hold: allocators keep some.
SLACK = 16 << 20

CASES = [*FRAMES, *STREAMS, *HPACK, *REQUESTS]


@pytest.mark.parametrize("kind", ["TCP", "unix"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section} {case.name}")
def test_a_violation(
    target: Server, unix_socket: Path, bystander: Client, case: Violation, kind: str
) -> None:
    """On unix sockets, too: there something stands between the socket and h2, and changes headers."""
    assert bystander
    before = target.resident_bytes()
    address = target.port if kind == "TCP" else unix_socket
    with Connection(address, preface=case.preface) as connection:
        if case.preface == PREFACE:
            # Until the client has acknowledged the server's settings, those of the RFC hold.
            assert connection.ping()
        if case.first:
            connection.responses[1] = Response()
            connection.send(case.first)
            assert connection.response(1).grpc_status is OK
        connection.send(case.sends)
        case.reaction.check(connection)
        assert target.resident_bytes() - before < case.holds + SLACK


def test_no_row_is_there_twice() -> None:
    assert (
        len({case.name for case in CASES})
        == len({(case.first, case.sends, case.preface) for case in CASES})
        == len(CASES)
    )
