"""An upstream dies while it receives a large tensor: another gets all of it, or the caller hears why not."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import grpc
import numpy as np
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from support.client import Client, refused, request
from support.http2 import prefixed
from support.policies import careful_cluster
from support.proxy import Proxy, outbound, proxying
from support.scripted_upstream import CutFirst, Exchange, ScriptedUpstream, scripted

MIB = 1 << 20

SIZE = 32 * MIB

REQUEST = request("m", x=np.arange(SIZE // 4, dtype=np.float32))
BODY = prefixed(REQUEST.SerializeToString())

#: What an allocator keeps.
SLACK = 24 * MIB

#: Bytes of one request that a client may send ahead, and that wait for the upstream to take them.
AHEAD = (8 + 1) * MIB


class Receiving:
    """Two upstreams that remember what they received whole; whichever comes first to so many bytes is cut."""

    def __init__(self, after: int, cuts: int) -> None:
        self.digests: list[bytes] = []
        self._cut = CutFirst(after, cuts)
        self._stack = ExitStack()
        self.upstreams: list[ScriptedUpstream] = []

    def __enter__(self) -> "Receiving":
        self.upstreams = [self._stack.enter_context(scripted(self._receive, cut=self._cut)) for _ in range(2)]
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _receive(self, exchange: Exchange) -> None:
        self.digests.append(sha256(exchange.body).digest())
        exchange.answer()


@contextmanager
def before(receiving: Receiving, folder: Path, limits: pb.Limits) -> Iterator[Proxy]:
    route = pb.Route(retry=pb.Retry())
    ports = [it.port for it in receiving.upstreams]
    config = outbound(*ports, route=route, cluster=careful_cluster())
    config.limits.CopyFrom(limits)
    with proxying(config, folder) as proxy:
        yield proxy


def test_the_second_gets_all_of_it(tmp_path: Path) -> None:
    limits = pb.Limits(replay_request_bytes=40 * MIB, replay_bytes=80 * MIB)
    with (
        Receiving(after=20 * MIB, cuts=1) as receiving,
        before(receiving, tmp_path, limits) as proxy,
        Client(proxy.target()) as client,
    ):
        resident = proxy.resident_bytes()
        proxy.forget_peak()
        assert client.infer(REQUEST) is not None
        grown = proxy.peak_bytes() - resident
    # Behind the question whether it lives, which the client asks first.
    assert receiving.digests[-1] == sha256(BODY).digest()
    assert sum(len(it.links) for it in receiving.upstreams) >= 2
    assert grown < SIZE + AHEAD + SLACK, f"{grown / MIB:.1f} MiB"


def test_what_is_too_large_to_be_kept_is_sent_once_and_the_caller_is_told(tmp_path: Path) -> None:
    """16 MiB are kept by default."""
    with (
        Receiving(after=20 * MIB, cuts=1) as receiving,
        before(receiving, tmp_path, pb.Limits()) as proxy,
        Client(proxy.target()) as client,
    ):
        resident = proxy.resident_bytes()
        proxy.forget_peak()
        with refused(grpc.StatusCode.UNAVAILABLE, "'upstream' did not answer", "too large to be kept"):
            client.infer(REQUEST)
        grown = proxy.peak_bytes() - resident
        assert client.infer(REQUEST) is not None
    assert receiving.digests[-1] == sha256(BODY).digest()
    assert grown < 16 * MIB + AHEAD + SLACK, f"{grown / MIB:.1f} MiB"


def test_many_at_once_keep_no_more_than_all_may(tmp_path: Path) -> None:
    """Ten of 32 MiB, and room to keep one of them: the upstreams are slow to read what they get."""
    callers = 10
    limits = pb.Limits(replay_request_bytes=40 * MIB, replay_bytes=40 * MIB)
    with (
        Receiving(after=20 * MIB, cuts=0) as receiving,
        before(receiving, tmp_path, limits) as proxy,
        ThreadPoolExecutor(callers) as threads,
    ):
        resident = proxy.resident_bytes()
        proxy.forget_peak()

        def call(_: int) -> None:
            with Client(proxy.target()) as client:
                client.infer(REQUEST)

        list(threads.map(call, range(callers)))
        grown = proxy.peak_bytes() - resident
    assert receiving.digests.count(sha256(BODY).digest()) == callers
    assert grown < 40 * MIB + callers * AHEAD + SLACK, f"{grown / MIB:.1f} MiB"
