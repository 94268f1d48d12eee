"""One of three upstreams fails under a steady load: no request is lost, and no other upstream pays for it.

And once it is well again, it is asked again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from support.fleet import REQUEST, Member
from support.policies import PER_TRY_SECONDS, allowed_retries, careful_cluster, patient_route
from support.process import stop_in_order
from support.proxy import Proxy, outbound, proxying
from support.scripted_upstream import (
    Behaviour,
    ScriptedUpstream,
    answers_after,
    cuts,
    refuses,
    resets,
    scripted,
)
from support.steady_load import SteadyLoad, Told

RATE = 200.0

#: Sent while one is hurt.
DURING = 400

#: That show that an upstream takes part.
FEW = 20

UNAVAILABLE = 14
INTERNAL_ERROR, REFUSED_STREAM = 2, 7


def policies(ports: Sequence[int]) -> pb.ProxyConfig:
    return outbound(*ports, route=patient_route(), cluster=careful_cluster())


# Real servers: what happens to a process.


def ends_and_comes_back(member: Member) -> Iterator[None]:
    member.server.kill()
    yield
    member.restart()
    yield


def leaves_in_order_and_comes_back(member: Member) -> Iterator[None]:
    stop_in_order(member.server)
    yield
    member.restart()
    yield


def freezes_and_thaws(member: Member) -> Iterator[None]:
    member.server.freeze()
    yield
    member.server.thaw()
    yield


def slows_down_for_a_while(member: Member) -> Iterator[None]:
    with member.slowed(2 * PER_TRY_SECONDS):
        yield
    yield


Fault = Callable[[Member], Iterator[None]]


@pytest.mark.parametrize(
    "fault",
    [ends_and_comes_back, leaves_in_order_and_comes_back, freezes_and_thaws, slows_down_for_a_while],
)
def test_a_process(three: list[Member], tmp_path: Path, fault: Fault) -> None:
    hurt, *others = three
    with (
        proxying(policies([it.port for it in three]), tmp_path) as proxy,
        SteadyLoad(proxy.target(), REQUEST, RATE) as load,
    ):
        takes_part(proxy, load, hurt.port)
        before, sent = sum(it.received() for it in others), load.now.sent
        steps = fault(hurt)
        next(steps)
        load.send(DURING)
        extra = sum(it.received() for it in others) - before - (load.now.sent - sent)
        next(steps)
        answered = hurt.received()
        takes_part(proxy, load, hurt.port)
        assert hurt.received() > answered
        attempts = sum(proxy.endpoint(it.port).attempts for it in three)
    nothing_was_lost(load.told)
    assert max(extra, attempts - load.told.sent) <= allowed_retries(load.told.sent)


# Scripted upstreams: what a server does that is there, and does no good. All take so long that several
# requests are under way at each.

well = answers_after(0.1)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(refuses(UNAVAILABLE), id="answers errors"),
        pytest.param(resets(INTERNAL_ERROR), id="resets streams"),
        pytest.param(resets(REFUSED_STREAM), id="refuses streams"),
        pytest.param(cuts, id="resets connections"),
        pytest.param(lambda _: None, id="says nothing"),
    ],
)
def test_a_server(tmp_path: Path, fault: Behaviour) -> None:
    with (
        three_scripted() as upstreams,
        proxying(policies([it.port for it in upstreams]), tmp_path) as proxy,
        SteadyLoad(proxy.target(), REQUEST, RATE) as load,
    ):
        hurt = upstreams[0]
        load.wait_until(lambda: hurt.requests >= FEW, "all take part")
        hurt.behaviour, before = fault, hurt.requests
        load.send(DURING)
        while_hurt = hurt.requests - before
        hurt.behaviour = well
        takes_part(proxy, load, hurt.port)
        breaker = proxy.endpoint(hurt.port)
    nothing_was_lost(load.told)
    attempts = sum(it.requests for it in upstreams)
    assert attempts - load.told.sent <= allowed_retries(load.told.sent)
    # It has been left alone: a third would have been its part.
    assert while_hurt <= DURING / 6
    assert breaker.openings > 0
    assert breaker.breaker == "closed"


def takes_part(proxy: Proxy, load: SteadyLoad, port: int) -> None:
    goal = proxy.endpoint(port).attempts + FEW
    load.wait_until(lambda: proxy.endpoint(port).attempts >= goal, "the hurt one takes part")


def nothing_was_lost(told: Told) -> None:
    assert told.failed == 0, told
    assert told.ok == told.sent


@contextmanager
def three_scripted() -> Iterator[list[ScriptedUpstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(scripted(well)) for _ in range(3)]
