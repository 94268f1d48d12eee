"""The rule that is rendered, held against recorded load in simulated time.

`infermesh_perf.bench.load_step` has recorded a minute of a base load and a minute of five times as much, and
how long a real server took for batches of each size. Each minute is replayed as it was. What goes on for
longer goes on with blocks of 10 s of it, drawn by chance. Other loads are shares of these.
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
from support.autoscaling.record import Load, Record

RECORD = Record.newest()

BASE, STEP = Load("base"), Load("step")

#: How many times as much comes after the step.
TIMES = RECORD.phases["step"]["rate"] / RECORD.phases["base"]["rate"]

#: What requests may wait on average, in milliseconds.
QUEUE = 100

#: Until a server that was asked for answers, in seconds.
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


def then(load: Load) -> Callable[[float], Load]:
    return lambda second: load if second >= STEP_AT * 60 else BASE


def course(
    spec: dict[str, Any] | None,
    load: Callable[[float], Load],
    minutes: int,
    *,
    start: float = START,
    seed: int = 1,
) -> Course:
    arrivals = RECORD.arrivals(load, seed)
    cluster = Cluster(RECORD.speed(), arrivals, spec, replicas=1, start=start, patience=RECORD.patience)
    return cluster.run(minutes * 60.0)


def minutes_above(course: Course) -> list[int]:
    return [minute for minute, p99 in course.p99.items() if p99 > QUEUE]


def test_the_record_is_of_a_load_that_becomes_too_much_for_one_server() -> None:
    base, step = RECORD.phases["base"], RECORD.phases["step"]
    assert TIMES == 5
    assert base["failed"] == 0
    assert base["p99"] < 1000 * RECORD.patience / 2
    assert step["failed"] > (step["answered"] + step["failed"]) / 3


def test_batches_took_what_the_fitted_line_says() -> None:
    speed, ran = RECORD.speed(), sum(it["count"] for it in RECORD.batches)
    for it in RECORD.batches:
        if it["count"] >= ran / 50:
            assert speed.seconds(it["rows"]) * 1000 == pytest.approx(it["mean_ms"], rel=0.15), it


def test_a_simulated_server_does_what_the_recorded_one_did() -> None:
    base, step = RECORD.phases["base"], RECORD.phases["step"]
    calm = course(None, lambda _: BASE, 1)
    assert calm.mean[0] == pytest.approx(base["queue"], rel=0.3)
    assert sum(course(None, lambda _: STEP, 1).answered.values()) == pytest.approx(step["answered"], rel=0.1)


def test_without_more_servers_five_times_the_load_is_never_answered_in_time() -> None:
    assert minutes_above(course(None, then(STEP), 8)) == list(range(STEP_AT, 8))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_five_times_the_load_the_queue_is_short_again_and_stays_so(
    spec: dict[str, Any], seed: int
) -> None:
    found = course(spec, then(STEP), 20, seed=seed)
    # Within three minutes: two to see it twice and start one more each time, one until they have started.
    assert STEP_AT in (late := minutes_above(found))
    assert max(late) < STEP_AT + 3
    # Two would be full, and nobody asks for more than one beyond that.
    assert max(found.replicas.values()) == 3
    assert set(list(found.replicas.values())[-10:]) == {3}


def test_servers_that_start_slowly_are_not_asked_for_again_and_again(spec: dict[str, Any]) -> None:
    found = course(spec, then(STEP), 14, start=120)
    assert max(minutes_above(found)) <= STEP_AT + 6
    assert max(found.replicas.values()) <= 4


def test_when_the_load_has_gone_they_go_one_by_one(spec: dict[str, Any]) -> None:
    found = course(spec, lambda second: STEP if 180 <= second < 480 else BASE, 30)
    counts = list(found.replicas.values())
    assert counts[-1] == 1
    assert all(before - after <= 1 for before, after in pairwise(counts))
    assert max(minutes_above(found)) < STEP_AT + 3


def test_by_its_queue_alone_it_would_end_one_that_is_needed(spec: dict[str, Any]) -> None:
    queue_alone = deepcopy(spec)
    queue_alone["triggers"][1]["metadata"]["threshold"] = "1000000"
    # Somewhat more than one of them can answer.
    load = then(Load("step", 3 / TIMES))
    late = [minute for minute in minutes_above(course(queue_alone, load, 25)) if minute > STEP_AT + 5]
    assert len(late) >= 4
    assert minutes_above(course(spec, load, 25)) == [STEP_AT, STEP_AT + 1]
