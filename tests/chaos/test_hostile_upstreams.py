"""An upstream that means no good: the proxy's memory is bounded, and the others answer instead."""

import itertools
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support import hpack, onnx_models
from support.client import request
from support.fleet import REQUEST
from support.floods import swollen
from support.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    framed,
)
from support.policies import PER_TRY_SECONDS, careful_cluster, patient_route
from support.proxy import outbound, proxying
from support.repository import Repository
from support.scripted_upstream import Frame, Link, scripted
from support.server import LOOPBACK, Server, serving
from support.steady_load import SteadyLoad

MIB = 1 << 20

RATE = 100.0

#: What an allocator keeps, and what a few requests take.
SLACK = 32 * MIB

STATUS_200 = b"\x88"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real one, which does what it should."""
    repository = Repository.make(tmp_path_factory.mktemp("repository"))
    repository.onnx("m", onnx_models.identity("INT32", ("n", 1)))
    repository.onnx("wide", onnx_models.identity("FP32", ("n", "m")))
    with serving(repository.root, *LOOPBACK) as server:
        yield server


#: Sends to a request's stream what it likes, without an end or at once; ends with an OSError.
Attack = Callable[[socket.socket, int], None]


def to_each_request(attack: Attack) -> Callable[[Link, Iterator[Frame]], None]:
    def takeover(link: Link, frames: Iterator[Frame]) -> None:
        link.socket.sendall(framed(SETTINGS))
        for kind, _, stream, _ in frames:
            if kind == HEADERS:
                attack(link.socket, stream)

    return takeover


def continuations(to: socket.socket, stream: int) -> None:
    to.sendall(framed(HEADERS, 0, stream, STATUS_200))
    field = hpack.encode([("x-more", "y" * 1_000)])
    many = framed(CONTINUATION, 0, stream, field) * 100
    for _ in itertools.count():
        to.sendall(many)


def empty_continuations(to: socket.socket, stream: int) -> None:
    to.sendall(framed(HEADERS, 0, stream, STATUS_200))
    many = framed(CONTINUATION, 0, stream) * 10_000
    for _ in itertools.count():
        to.sendall(many)


def bomb(to: socket.socket, stream: int) -> None:
    to.sendall(framed(HEADERS, END_HEADERS, stream, STATUS_200 + swollen(b"x-bomb")))


def early_hints(to: socket.socket, stream: int) -> None:
    hint = hpack.encode([(":status", "103"), ("link", "x" * 1_000)])
    many = framed(HEADERS, END_HEADERS, stream, hint) * 100
    for _ in itertools.count():
        to.sendall(many)


def empty_data(to: socket.socket, stream: int) -> None:
    to.sendall(framed(HEADERS, END_HEADERS, stream, hpack.encode([(":status", "200")])))
    many = framed(DATA, 0, stream) * 10_000
    for _ in itertools.count():
        to.sendall(many)


def more_than_the_window(to: socket.socket, stream: int) -> None:
    to.sendall(framed(HEADERS, END_HEADERS, stream, hpack.encode([(":status", "200")])))
    many = framed(DATA, 0, stream, bytes(16_384)) * 64
    for _ in itertools.count():
        to.sendall(many)


def pings(to: socket.socket, _: int) -> None:
    many = framed(PING, 0, 0, bytes(8)) * 10_000
    for _ in itertools.count():
        to.sendall(many)


def settings(to: socket.socket, _: int) -> None:
    many = framed(SETTINGS) * 10_000
    for _ in itertools.count():
        to.sendall(many)


def resets_of_nothing(to: socket.socket, stream: int) -> None:
    many = framed(RST_STREAM, 0, stream, bytes(4)) * 10_000
    for _ in itertools.count():
        to.sendall(many)


def nonsense(to: socket.socket, _: int) -> None:
    to.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 1_000)


ATTACKS = [
    continuations,
    empty_continuations,
    bomb,
    early_hints,
    pings,
    settings,
    resets_of_nothing,
    nonsense,
]

#: Once an answer has begun it cannot be taken back.
ATTACKS_THAT_ANSWER = [empty_data, more_than_the_window]


@pytest.mark.parametrize("attack", [*ATTACKS, *ATTACKS_THAT_ANSWER])
def test_an_attack(good: Server, tmp_path: Path, attack: Attack) -> None:
    with scripted(takeover=to_each_request(attack)) as hostile:
        config = outbound(hostile.port, good.port, route=patient_route(), cluster=careful_cluster())
        with proxying(config, tmp_path) as proxy:
            before = proxy.resident_bytes()
            proxy.forget_peak()
            with SteadyLoad(proxy.target(), REQUEST, RATE) as load:
                load.wait_until(lambda: len(hostile.links) > 0, "the hostile one is asked")
                load.send(round(2 * RATE))
            grown = proxy.peak_bytes() - before
    if attack in ATTACKS_THAT_ANSWER:
        assert load.told.failed <= len(hostile.links), load.told
        assert set(load.told.errors) <= {"UNAVAILABLE"}
    else:
        assert load.told.failed == 0, load.told
    # One who finds out about it waits for as long as a try may take, and few do.
    assert load.told.p(95) < PER_TRY_SECONDS
    assert grown < SLACK, f"{grown / MIB:.1f} MiB"


def test_it_reads_nothing(good: Server, tmp_path: Path) -> None:
    """Requests of some MiB wait for it, and are sent again elsewhere."""

    def reads_nothing(link: Link, _: Iterator[Frame]) -> None:
        link.socket.sendall(framed(SETTINGS))
        link.wait_for_end()

    size, rate = 4 * MIB, 10.0
    large = request("wide", x=np.ones((1, size // 4), np.float32))
    with scripted(takeover=reads_nothing) as hostile:
        config = outbound(hostile.port, good.port, route=patient_route(), cluster=careful_cluster())
        with proxying(config, tmp_path) as proxy:
            before = proxy.resident_bytes()
            proxy.forget_peak()
            with SteadyLoad(proxy.target(), large, rate) as load:
                load.send(40)
            grown = proxy.peak_bytes() - before
    assert load.told.failed == 0, load.told
    assert len(hostile.links) > 0
    # Bodies that are kept, no more of them than may be, and as much again on its way.
    assert grown < 2 * 64 * MIB + SLACK, f"{grown / MIB:.1f} MiB"
