"""How a plan is divided: together workers do what one would have done."""

from __future__ import annotations

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.load.division import delays, usable
from infermesh_perf.load.plan import shares
from support.load_workers import closed_plan, open_plan


def test_all_take_part_where_there_is_enough() -> None:
    assert usable(closed_plan("a:1", concurrency=4), 4) == (4, "")
    assert usable(open_plan("a:1", 1), 16) == (16, "")


@pytest.mark.parametrize(
    ("change", "count", "said"),
    [
        ({}, 4, "a concurrency of 4"),
        ({"connections": 3}, 3, "a number of connections of 3"),
        ({"connections": 3, "request_count": 2}, 2, "a number of requests of 2"),
        # A closed loop does not know it.
        ({"max_outstanding": 1}, 4, "a concurrency of 4"),
    ],
)
def test_a_closed_loop_is_divided_as_far_as_it_goes(change: dict[str, int], count: int, said: str) -> None:
    plan = closed_plan("a:1", concurrency=4)
    for name, value in change.items():
        setattr(plan, name, value)
    assert usable(plan, 8) == (count, f"{said} cannot be divided further")


def test_an_open_loop_is_divided_as_far_as_it_goes() -> None:
    plan = open_plan("a:1", 100)
    plan.max_outstanding = 6
    assert usable(plan, 8)[0] == 6
    plan.workloads[0].sequences.ids = 5
    assert usable(plan, 8) == (5, "a number of sequence ids of 5 cannot be divided further")
    plan.workloads[0].sequences.concurrent = 2
    assert usable(plan, 8) == (2, "a number of live sequences of 2 cannot be divided further")


def test_a_rate_at_which_workers_would_hardly_take_turns() -> None:
    assert usable(open_plan("a:1", 0.1), 16) == (
        3,
        "0.1 requests per second are too few for more to take turns",
    )
    assert usable(open_plan("a:1", 0.001), 16)[0] == 1


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_shares_of_usable_workers_add_up(workers: int) -> None:
    plan = closed_plan("a:1", concurrency=7, requests=100)
    plan.connections = 9
    parts = shares(plan, usable(plan, workers)[0])
    assert len(parts) == workers
    assert sum(part.closed.concurrency for part in parts) == 7
    assert sum(part.request_count for part in parts) == 100
    assert sum(part.connections for part in parts) == 9


def test_sequences_of_usable_workers_have_ids_of_their_own() -> None:
    plan = closed_plan("a:1", concurrency=8)
    plan.workloads[0].sequences.CopyFrom(load_pb2.Sequences(first_id=10, ids=3, length=2))
    parts = shares(plan, usable(plan, 8)[0])
    found = [part.workloads[0].sequences for part in parts]
    assert [(it.first_id, it.ids) for it in found] == [(10, 1), (11, 1), (12, 1)]


def test_requests_at_even_distances_take_turns() -> None:
    assert delays(open_plan("a:1", 1000), 4) == [0, 1_000_000, 2_000_000, 3_000_000]


def test_other_moments_begin_together() -> None:
    poisson = closed_plan("a:1")
    poisson.open.poisson = 1000
    assert delays(poisson, 3) == delays(closed_plan("a:1"), 3) == [0, 0, 0]
