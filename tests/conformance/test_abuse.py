"""Floods: each is ended with ENHANCE_YOUR_CALM and a word for it, is logged, and harms nobody else."""

import pytest
from support.floods import FLOODS, Flood, header_bomb
from support.http2 import CONTINUATION, END_HEADERS, HEADERS, Connection
from support.server import Server

ENHANCE_YOUR_CALM = 11


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
    before = target.resident_bytes()
    connection.frame(HEADERS, END_HEADERS, 1, header_bomb(name))
    connection.frame(HEADERS, END_HEADERS, 3, b"\x83\x86\x84" + b"\xbe" * 4_000)
    connection.ping()
    assert target.resident_bytes() - before < 8 << 20
