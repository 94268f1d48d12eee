"""Nobody is left to ask: callers are told so at once and in words, and served again without a restart."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.fleet import REQUEST, Member
from support.policies import PER_TRY_SECONDS, allowed_retries, careful_cluster, patient_route
from support.proxy import outbound, proxying
from support.scripted_upstream import refuses, scripted
from support.steady_load import SteadyLoad

RATE = 200.0
WHILE_GONE = 400

#: To say no takes less than this, nearly always; generous, because a test shares its machine.
PROMPT_SECONDS = 0.1

UNAVAILABLE = 14


def end(member: Member) -> None:
    member.server.kill()


def freeze(member: Member) -> None:
    member.server.freeze()


def thaw(member: Member) -> None:
    member.server.thaw()


Change = Callable[[Member], None]


@pytest.mark.parametrize(
    ("go", "come_back", "percentile"),
    [
        pytest.param(end, Member.restart, 99, id="killed"),
        # Now and then a request is the one that finds out whether somebody is back, and waits for that.
        pytest.param(freeze, thaw, 95, id="frozen"),
    ],
)
def test_all_gone(
    three: list[Member], tmp_path: Path, go: Change, come_back: Change, percentile: float
) -> None:
    ports = [it.port for it in three]
    with (
        proxying(outbound(*ports, route=patient_route(), cluster=careful_cluster()), tmp_path) as proxy,
        SteadyLoad(proxy.target(), REQUEST, RATE) as load,
    ):
        load.wait_until_well(50)
        for member in three:
            go(member)
        load.wait_until(lambda: all(proxy.endpoint(port).openings for port in ports), "all breakers open")
        # Meanwhile those end that were sent before it was known.
        load.send(round(2 * PER_TRY_SECONDS * RATE))
        load.end_phase()
        load.send(WHILE_GONE)
        gone = load.end_phase()
        for member in three:
            come_back(member)
        load.wait_until_well(100)
    assert gone.ok == 0
    assert set(gone.errors) == {"UNAVAILABLE"}
    assert gone.error_latency.percentile(percentile) / 1e9 < PROMPT_SECONDS
    message = gone.messages["UNAVAILABLE"]
    assert all(f"127.0.0.1:{port} is left alone after failures" in message for port in ports), message


def test_what_cannot_be_saved_is_tried_again_within_the_budget_alone(tmp_path: Path) -> None:
    with ExitStack() as stack:
        upstreams = [stack.enter_context(scripted(refuses(UNAVAILABLE))) for _ in range(3)]
        cluster = careful_cluster()
        # Or else it would hide what the budget does.
        cluster.ClearField("breaker")
        config = outbound(*(it.port for it in upstreams), route=patient_route(), cluster=cluster)
        proxy = stack.enter_context(proxying(config, tmp_path))
        with SteadyLoad(proxy.target(), REQUEST, RATE) as load:
            load.send(3 * WHILE_GONE)
        told = load.told
    assert told.errors == {"UNAVAILABLE": told.sent}
    extra = sum(it.requests for it in upstreams) - told.sent
    # Two for each request, if every one were tried again as often as it may.
    assert 0.5 * allowed_retries(told.sent) <= extra <= allowed_retries(told.sent)
