"""Two worker processes as one engine: what they count together is what the server counted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import Histogram
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.load.engine import Engine
from infermesh_perf.load.measure import Progress, measure
from infermesh_perf.load.pacing import Pacing
from infermesh_perf.load.plan import Sending, plan
from infermesh_perf.load.remote_engine import RemoteEngine
from infermesh_perf.load.workers import Workers
from infermesh_perf.results.document import Load
from infermesh_perf.target.connect import connect
from infermesh_perf.target.target import target
from support import onnx_models
from support.load_workers import (
    WorkerProcess,
    addresses,
    closed_plan,
    null_server,
    open_plan,
    worker_processes,
)
from support.repository import Repository
from support.server import LOOPBACK, Server, serving

SLICE_SECONDS = 0.1


@pytest.fixture(scope="module")
def pair() -> Iterator[list[WorkerProcess]]:
    with worker_processes(2) as workers:
        yield workers


@pytest.fixture
def workers(pair: list[WorkerProcess]) -> Workers:
    return Workers(addresses(pair), slice_seconds=SLICE_SECONDS)


@pytest.fixture(scope="module")
def null() -> Iterator[str]:
    with null_server() as address:
        yield address


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = Repository.make(tmp_path_factory.mktemp("models"))
    repository.onnx("m", onnx_models.identity())
    with serving(repository.root, *LOOPBACK) as server:
        yield server


def run_out(engine: Engine) -> list[load_pb2.LoadSlice]:
    """All slices of an engine whose plan is limited, from its start to its end."""
    slices: list[load_pb2.LoadSlice] = []
    try:
        engine.connect()
        engine.start()
        engine.measure()
        while not (slices and slices[-1].finished):
            engine.wait(SLICE_SECONDS)
            slices.append(engine.take())
        engine.stop(5)
        slices.append(engine.take())
    finally:
        engine.close()
    return slices


def answered(server: Server) -> int:
    """As the server's own statistics have it."""
    with connect(target(server.target)) as api:
        statistics = api.statistics("m")
    assert statistics is not None
    return int(statistics.model_stats[0].inference_stats.success.count)


def test_counts_are_those_of_the_server(server: Server, workers: Workers) -> None:
    before = answered(server)
    slices = run_out(workers.engine(closed_plan(server.target, requests=501)))

    parts = [slice_.workloads[0] for slice_ in slices]
    assert sum(part.completed for part in parts) == answered(server) - before >= 501
    assert sum(part.sent for part in parts) == answered(server) - before
    latency, service = Histogram(), Histogram()
    for part in parts:
        latency.merge(Histogram.decode(part.latency))
        service.merge(Histogram.decode(part.service))
    # What was due in the warm-up is not among them.
    assert latency.count == service.count == 501
    assert not any(part.errors for part in parts)
    assert {slice_.threads for slice_ in slices} == {2}
    assert slices[0].connections == 2


def test_slices_follow_each_other_on_one_clock(null: str, workers: Workers) -> None:
    slices = run_out(workers.engine(open_plan(null, 500, requests=200)))

    assert slices[0].start_ns == 0
    for earlier, later in pairwise(slices):
        assert earlier.end_ns == later.start_ns
        assert earlier.started_unix_ns == later.started_unix_ns
    assert sum(part.sent for slice_ in slices for part in slice_.workloads) >= 200
    records = [record for slice_ in slices for record in slice_.workloads[0].slowest]
    assert {record.connection % 2 for record in records} == {0, 1}
    # The second worker begins a distance between two requests after the first.
    assert all(record.due_ns <= slices[-1].end_ns + 2e6 for record in records)


def test_the_measured_time_begins_with_a_slice(null: str, workers: Workers) -> None:
    asked = open_plan(null, 500)
    asked.max_records = 1000
    engine = workers.engine(asked)
    try:
        engine.connect()
        engine.start()
        assert not Histogram.decode(engine.take().workloads[0].latency).count
        engine.measure()
        slices = [engine.take() for _ in range(3)]
        engine.stop(5)
        slices.append(engine.take())
    finally:
        engine.close()
    records = [record for slice_ in slices for record in slice_.workloads[0].records]
    slice_ns = round(SLICE_SECONDS * 1e9)
    first = min(record.due_ns for record in records)
    # As exactly as a busy machine reads a clock twice.
    assert first % slice_ns < slice_ns / 5
    assert first // slice_ns * slice_ns <= slices[0].start_ns < slices[0].end_ns
    for worker in range(2):
        due = sorted(record.due_ns for record in records if record.connection % 2 == worker)
        # Every second one of those 2 ms apart, each once, also where its answer came before a slice was cut.
        assert {later - earlier for earlier, later in pairwise(due)} == {4_000_000}
    assert sum(Histogram.decode(slice_.workloads[0].lag).count for slice_ in slices) == len(records)


def test_a_limited_number_ends_the_slice(null: str, workers: Workers) -> None:
    workers.slice_seconds = 5.0
    slices = run_out(workers.engine(closed_plan(null, requests=50)))

    assert slices[0].finished
    assert slices[0].end_ns < 4e9


def test_one_level_as_the_commands_measure_it(null: str, workers: Workers) -> None:
    aimed = load_pb2.Target(address=null, protocol=load_pb2.PROTOCOL_GRPC)
    load = Load(mode="rate", value=800, distribution="poisson")
    engine = workers.engine(plan(aimed, closed_plan(null).workloads, load, Sending(), requests=300))
    pacing = Pacing(requests=300, warm_up_seconds=0.1, slice_seconds=SLICE_SECONDS)
    try:
        engine.connect()
        found = measure(engine, 1, pacing)
    finally:
        engine.close()
    assert found.cut_short == ""
    assert found.totals.all.latency.count == 300
    assert found.totals.lateness.count > 0
    # Three hundred of the moments take about as long as they should.
    assert found.totals.seconds > 0.2
    assert found.totals.threads == 2
    assert 0 < found.totals.client_cpu < 1


def test_a_worker_that_dies_is_named_and_the_rest_is_kept(null: str, pair: list[WorkerProcess]) -> None:
    with worker_processes(1) as (victim,):
        engine = RemoteEngine(open_plan(null, 400), addresses([pair[0], victim]), slice_seconds=SLICE_SECONDS)
        pacing = Pacing(seconds=30, warm_up_seconds=0.1, slice_seconds=SLICE_SECONDS)

        answers = 0

        def kill_after(progress: Progress) -> None:
            nonlocal answers
            if progress.phase == "measuring":
                answers += sum(part.completed for part in progress.slice.workloads)
            if answers >= 100:
                victim.kill()

        try:
            engine.connect()
            found = measure(engine, 1, pacing, kill_after)
        finally:
            engine.close()
    assert f"worker {victim.address} went away in the middle of the run" in found.cut_short
    assert found.totals.completed == answers >= 100
    # The other one is free again.
    assert run_out(RemoteEngine(closed_plan(null, requests=9), [pair[0].address]))[-1].finished


def test_more_workers_than_requests_under_way(null: str, workers: Workers) -> None:
    slices = run_out(workers.engine(closed_plan(null, concurrency=1, requests=5)))

    assert {slice_.threads for slice_ in slices} == {1}
    sent, spared = workers.remarks
    assert spared == "1 of 2 workers took part: a concurrency of 1 cannot be divided further"
    assert sent.startswith(f"sent by {workers.addresses[0]} (")
    assert "their clocks are known to 0." in sent


def test_a_target_that_is_not_there(pair: list[WorkerProcess], workers: Workers) -> None:
    engine = workers.engine(closed_plan("127.0.0.1:1"))
    with pytest.raises(RunError, match=rf"worker {pair[0].address}: cannot reach 127\.0\.0\.1:1"):
        engine.connect()
    engine.close()


def test_a_plan_that_a_worker_refuses(pair: list[WorkerProcess], null: str, workers: Workers) -> None:
    wrong = closed_plan(null)
    wrong.workloads[0].weight = -1
    engine = workers.engine(wrong)
    with pytest.raises(SetupError, match=rf"worker {pair[0].address} refuses the plan: .*weight"):
        engine.connect()
    engine.close()


def test_a_run_is_a_line(null: str, pair: list[WorkerProcess]) -> None:
    run_out(RemoteEngine(closed_plan(null, concurrency=3, requests=40), [pair[0].address]))
    while ": concurrency 3 on " not in (line := pair[0].line()):
        assert line.startswith("for 127.0.0.1:")
    assert f": concurrency 3 on {null}: " in line
    assert " answers, 0 failed, " in line
