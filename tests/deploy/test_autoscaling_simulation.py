"""The rule that is rendered, held against load in simulated time.

The servers take 16 ms and 4 ms for each request, up to 8 at a time: 167 a second. Callers wait for a second.
"""

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from infermesh.deploy.kubernetes.autoscaling import objects
from infermesh.description.read import read
from support.autoscaling.cluster import Cluster, Course
from support.autoscaling.servers import Speed

SPEED = Speed(always=0.016, each=0.004, most=8)

#: Requests per second that one server answers easily.
BASE = 100.0

#: What requests may wait on average, in milliseconds.
QUEUE = 100

PATIENCE = 1.0

#: Until a server that was asked for answers.
START = 40.0

STEP_AT = 3


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "mesh.yaml"
    file.write_text(
        f"servers: {{fraud: {{models: s3://m, placement: {{autoscale: {{max: 12, queue: {QUEUE}ms}}}}}}}}",
        encoding="utf-8",
    )
    (scaler,) = objects(read(file).workloads["fraud"], "shop")
    found: dict[str, Any] = scaler["spec"]
    return found


def step(times: float) -> Callable[[float], float]:
    return lambda second: BASE * (times if second >= STEP_AT * 60 else 1)


def course(
    spec: dict[str, Any] | None, rate: Callable[[float], float], minutes: int, start: float = START
) -> Course:
    cluster = Cluster(SPEED, rate, spec, replicas=1, start=start, patience=PATIENCE)
    return cluster.run(minutes * 60.0)


def minutes_above(course: Course) -> list[int]:
    return [minute for minute, p99 in course.p99.items() if p99 > QUEUE]


def test_without_more_servers_five_times_the_load_is_never_answered_in_time() -> None:
    assert minutes_above(course(None, step(5), 8)) == list(range(STEP_AT, 8))


def test_after_five_times_the_load_the_queue_is_short_again_and_stays_so(spec: dict[str, Any]) -> None:
    found = course(spec, step(5), 20)
    # In three minutes: two to see it twice and start twice as many each time, one until they have started.
    assert minutes_above(found) == [STEP_AT, STEP_AT + 1, STEP_AT + 2]
    # Three would be full, and nobody asks for more than one beyond that.
    assert max(found.replicas.values()) == 4
    assert set(list(found.replicas.values())[-10:]) == {4}


def test_servers_that_start_slowly_are_not_asked_for_again_and_again(spec: dict[str, Any]) -> None:
    found = course(spec, step(5), 14, start=120)
    assert max(minutes_above(found)) <= STEP_AT + 6
    assert max(found.replicas.values()) <= 5


def test_when_the_load_has_gone_they_go_one_by_one(spec: dict[str, Any]) -> None:
    found = course(spec, lambda second: BASE * (5 if 180 <= second < 480 else 1), 30)
    counts = list(found.replicas.values())
    assert counts[-1] == 1
    assert all(before - after <= 1 for before, after in pairwise(counts))
    assert minutes_above(found) == [STEP_AT, STEP_AT + 1, STEP_AT + 2]


def test_by_its_queue_alone_it_would_end_one_that_is_needed(spec: dict[str, Any]) -> None:
    queue_alone = deepcopy(spec)
    queue_alone["triggers"][1]["metadata"]["threshold"] = "1000000"
    late = [minute for minute in minutes_above(course(queue_alone, step(1.6), 25)) if minute > STEP_AT + 5]
    assert len(late) >= 4
    assert minutes_above(course(spec, step(1.6), 25)) == [STEP_AT, STEP_AT + 1]
