"""One of three upstreams fails under a steady load: no request is lost, no other upstream pays for it.

And once it is well again, it is asked again.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from support.fleet import REQUEST, Member
from support.policies import PER_TRY_SECONDS, allowed_retries, careful_cluster, patient_route
from support.proxy import outbound, proxying
from support.scripted_upstream import Behaviour, ScriptedUpstream, answers, cuts, refuses, resets, scripted
from support.steady_load import SteadyLoad

RATE = 150.0

#: Sent while one is hurt.
DURING = 300

#: That show that an upstream takes part.
FEW = 20

UNAVAILABLE = 14
INTERNAL_ERROR, REFUSED_STREAM = 2, 7


def policies(*ports: int) -> pb.ProxyConfig:
    return outbound(*ports, route=patient_route(), cluster=careful_cluster())


# Real servers: what a kernel and a process can do.


def ends_and_comes_back(member: Member) -> Iterator[None]:
    member.server.kill()
    yield
    member.restart()
    yield


def freezes_and_thaws(member: Member) -> Iterator[None]:
    member.server.freeze()
    yield
    member.server.thaw()
    yield


def slows_down(member: Member) -> Iterator[None]:
    with member.slowed(2 * PER_TRY_SECONDS):
        yield
    yield


Fault = Callable[[Member], Iterator[None]]


@pytest.mark.parametrize("fault", [ends_and_comes_back, freezes_and_thaws, slows_down])
def test_of_real_servers(three: list[Member], tmp_path: Path, fault: Fault) -> None:
    hurt, *others = three
    with (
        proxying(policies(*(member.port for member in three)), tmp_path) as proxy,
        SteadyLoad(proxy.target(), REQUEST, RATE) as load,
    ):
        takes_part(load, hurt)
        before, sent = sum(it.received() for it in others), load.now.sent
        steps = fault(hurt)
        next(steps)
        load.send(DURING)
        extra = sum(it.received() for it in others) - before - (load.now.sent - sent)
        next(steps)
        takes_part(load, hurt)
    assert load.told.failed == 0, load.told
    assert load.told.ok == load.told.sent
    assert extra <= allowed_retries(load.told.sent), (extra, load.told)


def takes_part(load: SteadyLoad, member: Member) -> None:
    goal = member.received() + FEW
    load.wait_until(lambda: member.received() >= goal, "the hurt one takes part")


# Upstreams by a script: what a server can do that is there and does no good.


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
def test_of_scripted_ones(tmp_path: Path, fault: Behaviour) -> None:
    with (
        three_scripted() as upstreams,
        proxying(policies(*(it.port for it in upstreams)), tmp_path) as proxy,
        SteadyLoad(proxy.target(), REQUEST, RATE) as load,
    ):
        hurt = upstreams[0]
        load.wait_until(lambda: hurt.requests >= FEW, "all take part")
        hurt.behaviour, before = fault, hurt.requests
        load.send(DURING)
        while_hurt = hurt.requests - before
        hurt.behaviour, before = answers, hurt.requests
        load.wait_until(lambda: hurt.requests >= before + FEW, "the healed one takes part")
    assert load.told.failed == 0, load.told
    assert load.told.ok == load.told.sent
    attempts = sum(it.requests for it in upstreams)
    assert attempts - load.told.sent <= allowed_retries(load.told.sent), load.told
    # It has been left alone: a third would have been its part.
    assert while_hurt <= DURING / 6, while_hurt


@contextmanager
def three_scripted() -> Iterator[list[ScriptedUpstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(scripted()) for _ in range(3)]
