"""Clients of a proxy that mean no good: its memory is bounded, and whoever else calls is served in time."""

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as v2
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from support import onnx_models
from support.client import ints, request
from support.fleet import REQUEST
from support.floods import FLOODS, INFER, Flood, header_bomb
from support.http2 import END_HEADERS, HEADERS, SETTINGS, Connection, Response, grpc_fields, prefixed
from support.policies import careful_cluster, patient_route
from support.proxy import Proxy, nanos, outbound, proxying
from support.repository import Repository
from support.server import LOOPBACK, Server, serving
from support.steady_load import SteadyLoad
from support.violations import Violation
from support.violations.fields import HPACK, REQUESTS
from support.violations.frames import FRAMES
from support.violations.streams import STREAMS

ENHANCE_YOUR_CALM = 11

#: Of those who mean well, and what nearly all of them wait at most: a test shares its machine.
RATE, PROMPT_SECONDS = 100.0, 1.0

MIB = 1 << 20

#: What requests under way may take together.
MEMORY = 48 * MIB

#: What an allocator keeps, and what a few requests take.
SLACK = 24 * MIB

#: Answers as many zeros as it is asked for.
ZEROS = """
import numpy as np


class Model:
    inputs = {"x": ("INT32", [1])}
    outputs = {"y": ("FP32", [-1])}
    max_batch_size = 1

    def infer(self, batch):
        return {"y": np.zeros((1, int(batch["x"][0, 0])), np.float32)}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real one, which ends in order."""
    repository = Repository.make(tmp_path_factory.mktemp("repository"))
    repository.onnx("m", onnx_models.identity("INT32", ("n", 1)))
    repository.python("zeros", ZEROS)
    with serving(repository.root, *LOOPBACK) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """One for the whole assault; it ends in order and without a word on stderr."""
    with proxying(policies(server), tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def fresh_proxy(server: Server, tmp_path: Path) -> Iterator[Proxy]:
    """One whose memory is not yet what another test has left."""
    with proxying(policies(server), tmp_path) as proxy:
        yield proxy


def policies(server: Server) -> pb.ProxyConfig:
    route = patient_route()
    # The upstream has much to do for some of these clients, one after the other.
    route.retry.per_try_timeout_ns = nanos(3.0)
    config = outbound(server.port, route=route, cluster=careful_cluster())
    config.limits.memory_bytes = MEMORY
    return config


@contextmanager
def others_unharmed(proxy: Proxy, growth: int) -> Iterator[SteadyLoad]:
    """Within the block somebody else is served, and the proxy takes no more memory than so much."""
    with SteadyLoad(proxy.target(), REQUEST, RATE) as load:
        load.wait_until_well(50)
        before = proxy.resident_bytes()
        proxy.forget_peak()
        load.end_phase()
        yield load
        load.wait_until_well(20)
        grown = proxy.peak_bytes() - before
    assert load.told.failed == 0, load.told
    assert load.told.p(99) < PROMPT_SECONDS
    assert grown < growth + SLACK, f"{grown / MIB:.1f} MiB"


@pytest.mark.parametrize(("flood", "word"), FLOODS.values(), ids=FLOODS.keys())
def test_floods(proxy: Proxy, flood: Flood, word: str) -> None:
    with others_unharmed(proxy, 0), ExitStack() as stack:
        connections = [stack.enter_context(Connection(proxy.port())) for _ in range(4)]
        for connection in connections:
            flood(connection)
        for connection in connections:
            assert connection.wait_goaway() == ENHANCE_YOUR_CALM
            assert any(part in connection.goaway_reason for part in word.split("|"))
            connection.wait_closed()


def test_many_who_each_give_up_as_many_requests_as_they_may(proxy: Proxy) -> None:
    """The upstream knows one client only, the proxy, and must not take it for one that floods."""
    message = prefixed(REQUEST.SerializeToString())
    with others_unharmed(proxy, 0), ExitStack() as stack:
        connections = [stack.enter_context(Connection(proxy.port())) for _ in range(8)]
        for _ in range(30):
            for connection in connections:
                for _ in range(15):
                    stream = connection.headers(grpc_fields(INFER))
                    connection.data(stream, message)
                    connection.reset(stream)
                answer = connection.response(connection.grpc(INFER, REQUEST.SerializeToString()))
                assert answer.grpc_status is grpc.StatusCode.OK


@pytest.mark.parametrize("name", [b"x-bomb", b"cookie"])
def test_header_bombs(proxy: Proxy, name: bytes) -> None:
    with others_unharmed(proxy, 0), ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(Connection(proxy.port()))
            for stream in range(1, 40, 2):
                connection.frame(HEADERS, END_HEADERS, stream, header_bomb(name))
            connection.ping()


#: Answers that nobody takes, in waves, and how large each is.
READERS, WAVES, ANSWER = 8, 8, 16 * MIB

#: What is received ahead for one of them: a stream's window, and what waits to be written.
AHEAD = (2 + 4) * MIB


@pytest.mark.parametrize("window", [2**31 - 1, 0], ids=["does not read", "opens no window"])
def test_slow_readers_of_large_answers(fresh_proxy: Proxy, window: int) -> None:
    """Those who have waited longest make room for those who come; an allocator keeps what they held."""
    asked = zeros(ANSWER // 4).SerializeToString()
    with others_unharmed(fresh_proxy, 3 * MEMORY + READERS * AHEAD) as load, ExitStack() as stack:
        for _ in range(WAVES):
            for _ in range(READERS):
                connection = stack.enter_context(Connection(fresh_proxy.port()))
                connection.frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window))
                connection.grpc(INFER, asked)
            # Longer than a wait that is no sign of anything.
            load.send(round(1.2 * RATE))


def zeros(count: int) -> v2.ModelInferRequest:
    return request("zeros", x=ints([count]))


def test_slow_writers(proxy: Proxy) -> None:
    """Requests that begin, and then nothing comes."""
    begun = prefixed(REQUEST.SerializeToString())[:10]
    with others_unharmed(proxy, 0) as load, ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(Connection(proxy.port()))
            for _ in range(200):
                connection.data(connection.headers(grpc_fields(INFER)), begun)
        load.send(round(2 * RATE))


CASES = [
    case
    for case in [*FRAMES, *STREAMS, *HPACK, *REQUESTS]
    # What fills the window of the server has been passed on by the proxy, to whom it does not belong.
    if case.name != "DATA beyond the connection's window"
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section} {case.name}")
def test_a_violation(proxy: Proxy, case: Violation) -> None:
    """The reaction is the server's own: what stands between h2 and the network is the same."""
    with Connection(proxy.port(), preface=case.preface) as connection:
        if case.first:
            connection.responses[1] = Response()
            connection.send(case.first)
            connection.response(1)
        connection.send(case.sends)
        case.reaction.check(connection)
