"""What is made of what a server and a sidecar have told."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import pytest
from infermesh.overview import ask
from infermesh.overview.collect import Collector
from infermesh.overview.targets import InstanceState, Target
from infermesh.overview.view import CALLERS, Batches, Edge, Instance, Model, Overview

from .conftest import RECORDED, Recorded

#: Between the two looks that were recorded.
ATTEMPTS = 111


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def targets(recorded: Recorded) -> list[Target]:
    return [
        Target("shop", "shop", "app", calls=["fraud"], admin=recorded.url, address="127.0.0.1:8080"),
        Target(
            "fraud",
            "fraud-1",
            "server",
            models=["fraud", "scale"],
            http=recorded.url,
            metrics=f"{recorded.url}/server/metrics",
        ),
    ]


def collected(
    recorded: Recorded,
    change: Callable[[Recorded], object] = lambda _: None,
    states: Mapping[str, InstanceState] | None = None,
    more: Callable[[Recorded], list[Target]] = lambda _: [],
) -> Overview:
    """The overview of two looks, five seconds apart; a change is made before the second."""

    async def look() -> Overview:
        clock = Clock()
        async with recorded.running():
            collector = Collector(
                lambda: [*targets(recorded), *more(recorded)], lambda: states or {}, name="mine", clock=clock
            )
            await collector.once()
            clock.now += 5.0
            recorded.moment = "after"
            change(recorded)
            await collector.once()
            return collector.overview

    return asyncio.run(look())


def edge(overview: Overview, source: str, target: str) -> Edge:
    return next(it for it in overview.edges if (it.source, it.target) == (source, target))


def model(overview: Overview, name: str) -> Model:
    return next(it for workload in overview.workloads for it in workload.models if it.name == name)


def instance(overview: Overview, name: str) -> Instance:
    return next(it for workload in overview.workloads for it in workload.instances if it.name == name)


def test_a_call_has_its_rate_and_who_is_asked(recorded: Recorded) -> None:
    found = edge(collected(recorded), "shop", "fraud")
    # Ten of them were refused for their shape, which is not the server's fault.
    assert found.traffic.rate == ATTEMPTS / 5
    assert found.traffic.success == 1.0
    assert found.traffic.p50_ms is not None
    assert found.traffic.p99_ms is not None
    assert 0 < found.traffic.p50_ms <= found.traffic.p99_ms < 10
    assert (found.retries, found.breaker) == (0.0, "closed")
    assert len(found.endpoints) == 2
    assert all(it.seen_by == "shop" and it.is_available for it in found.endpoints)


def test_what_comes_from_outside_is_a_call_of_the_callers(recorded: Recorded) -> None:
    overview = collected(recorded)
    assert edge(overview, CALLERS, "shop").traffic.rate == 20 / 5
    assert overview.totals.traffic.rate == 20 / 5


def test_a_model_has_its_batches(recorded: Recorded) -> None:
    found = model(collected(recorded), "fraud")
    assert (found.version, found.state) == ("1", "READY")
    assert found.traffic.rate == 100 / 5
    assert found.queue_ms is not None
    assert 0 < found.queue_ms < 1
    # Rows 3, in the bucket up to 4.
    assert found.batches == [Batches(1.0, 0.0), Batches(2.0, 0.0), Batches(4.0, 100.0)]
    assert found.history.rate == [None, 20.0]


def test_a_model_that_nobody_asks_is_there(recorded: Recorded) -> None:
    found = model(collected(recorded), "scale")
    assert found.traffic.rate == 0.0
    assert found.traffic.success is None
    assert found.batches == []
    assert found.history.rate == ()


def test_failures_are_seen(recorded: Recorded) -> None:
    def fail(recorded: Recorded) -> None:
        text = (RECORDED / "after" / "sidecar.txt").read_text()
        labels = 'cluster="fraud",endpoint="127.0.0.1:1",outcome="timeout"'
        recorded.instead["/metrics"] = text + f"infermesh_proxy_attempts_total{{{labels}}} {ATTEMPTS}\n"

    found = edge(collected(recorded, fail), "shop", "fraud").traffic
    assert (found.rate, found.success) == (ATTEMPTS * 2 / 5, 0.5)


def test_an_open_breaker_is_seen(recorded: Recorded) -> None:
    def open_one(recorded: Recorded) -> None:
        stats = json.loads((RECORDED / "after" / "stats.json").read_text())
        stats["endpoints"][0].update(available=False, unavailable_because="its breaker is open")
        stats["endpoints"][0]["breaker"]["state"] = "open"
        recorded.instead["/stats"] = json.dumps(stats)

    overview = collected(recorded, open_one)
    found = edge(overview, "shop", "fraud")
    assert found.breaker == "open"
    assert [it.problem for it in found.endpoints] == ["its breaker is open", None]
    assert overview.totals.breakers_open == 1


def test_who_wants_no_requests_says_why(recorded: Recorded) -> None:
    def drain(recorded: Recorded) -> None:
        stats = json.loads((RECORDED / "after" / "stats.json").read_text())
        stats.update(ready=False, unready_because="it was asked to end")
        recorded.instead["/stats"] = json.dumps(stats)
        recorded.instead["/v2/health/ready"] = "no"

    overview = collected(recorded, drain)
    assert (instance(overview, "shop").state, instance(overview, "shop").problem) == (
        "unready",
        "it was asked to end",
    )
    assert instance(overview, "fraud-1").state == "unready"
    assert overview.totals.ready == 0


def test_who_does_not_answer_is_shown(recorded: Recorded) -> None:
    gone = Target(
        "fraud", "fraud-2", "server", ["fraud"], ["fraud"], "http://127.0.0.1:1", "http://127.0.0.1:1"
    )
    overview = collected(recorded, more=lambda _: [gone])
    found = instance(overview, "fraud-2")
    assert found.state == "silent"
    assert found.problem is not None
    assert "refused" in found.problem.lower()
    assert model(overview, "fraud").state == "READY on 1 of 2"
    assert overview.totals.instances == 3


def test_who_takes_too_long_is_shown(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "DEADLINE_SECONDS", 0.2)
    overview = collected(recorded, lambda it: it.hanging.add("/stats"))
    assert instance(overview, "shop").problem == "no answer within 0.2 s"
    # It did not keep the others from being asked.
    assert instance(overview, "fraud-1").state == "ready"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/stats", "[]"),
        ("/stats", "{}"),
        ("/stats", "<html>"),
        ("/metrics", "infermesh_proxy_retries_total x"),
    ],
)
def test_who_answers_something_else_is_shown(recorded: Recorded, path: str, answer: str) -> None:
    found = instance(collected(recorded, lambda it: it.instead.update({path: answer})), "shop")
    assert found.state == "silent"
    assert found.problem is not None
    assert found.problem.startswith("an answer that cannot be read")


def test_a_server_that_never_answered_has_the_models_that_it_should_have(recorded: Recorded) -> None:
    recorded.instead["/v2/repository/index"] = "nothing"
    overview = collected(recorded)
    assert {it.name: it.state for it in overview.workloads[1].models} == {
        "fraud": "UNKNOWN",
        "scale": "UNKNOWN",
    }


def test_what_is_known_of_processes_is_shown(recorded: Recorded) -> None:
    states = {
        "shop": InstanceState("running", restarts=2),
        "fraud-1": InstanceState("ended", restarts=5, problem="exit code 1"),
    }
    overview = collected(recorded, states=states)
    shop, fraud = instance(overview, "shop"), instance(overview, "fraud-1")
    assert (shop.state, shop.restarts) == ("ready", 2)
    assert (fraud.state, fraud.restarts, fraud.problem) == ("ended", 5, "exit code 1")
    assert overview.totals.restarts == 7


def test_an_overview_is_json(recorded: Recorded) -> None:
    told: dict[str, Any] = json.loads(json.dumps(asdict(collected(recorded)), allow_nan=False))
    assert (told["name"], told["environment"]) == ("mine", None)


def test_a_mesh_without_anybody_is_empty() -> None:
    overview = asyncio.run(Collector(list).once())
    assert (overview.workloads, overview.edges, overview.totals.instances) == ([], [], 0)
