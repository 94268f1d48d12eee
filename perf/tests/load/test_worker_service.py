"""A worker's side of the contract, spoken to step by step."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2, load_pb2_grpc
from infermesh_native import NullServer
from infermesh_perf.load.worker_address import WorkerAddress
from infermesh_perf.load.worker_server import serving
from support.load_workers import closed_plan, null_server, open_plan

SECONDS = 20
SLICE_NS = 50_000_000


class Worker:
    """One worker of this process, and the lines that it would print."""

    def __init__(self, address: WorkerAddress, said: queue.SimpleQueue[str]) -> None:
        self.address = address
        self.said = said
        self.channel = grpc.insecure_channel(str(address))
        self.stub = load_pb2_grpc.LoadWorkerServiceStub(self.channel)

    def run(self) -> Run:
        return Run(self.stub)


class Run:
    """A coordinator that says what the test wants; answers come in their order, by their kind."""

    def __init__(self, stub: load_pb2_grpc.LoadWorkerServiceStub) -> None:
        self._steps: queue.SimpleQueue[load_pb2.GenerateRequest | None] = queue.SimpleQueue()
        self.call: Any = stub.Generate(iter(self._steps.get, None), timeout=SECONDS)

    def say(self, **step: Any) -> None:
        self._steps.put(load_pb2.GenerateRequest(**step))

    def begin(self, plan: load_pb2.LoadPlan, seconds: float = 0.1) -> int:
        self.say(plan=plan)
        assert next(self.call).HasField("ready")
        moment = time.time_ns() + round(seconds * 1e9)
        self.say(begin=load_pb2.Begin(unix_ns=moment, slice_ns=SLICE_NS))
        self.say(measure=load_pb2.Measure(unix_ns=moment))
        return moment

    def slice(self) -> load_pb2.LoadSlice:
        response = next(self.call)
        assert response.HasField("slice"), response
        return response.slice  # type: ignore[no-any-return]

    def failure(self) -> load_pb2.Failure:
        response = next(self.call)
        assert response.HasField("failure"), response
        assert list(self.call) == []
        return response.failure  # type: ignore[no-any-return]

    def stop(self) -> list[load_pb2.LoadSlice]:
        self.say(stop=load_pb2.Stop(drain_ns=5 * 10**9))
        return [response.slice for response in self.call]

    def say_no_more(self) -> None:
        self._steps.put(None)

    def close(self) -> None:
        self.say_no_more()
        self.call.cancel()


@contextmanager
def a_worker(readers: Sequence[threading.Thread] = ()) -> Iterator[Worker]:
    """`readers` are waited for between the end of the worker and that of the channel."""
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    worker = None
    try:
        with serving(WorkerAddress("127.0.0.1", 0), None, said.put) as address:
            worker = Worker(address, said)
            yield worker
    finally:
        # After the worker's end, of which coordinators are told.
        if worker is not None:
            for reader in readers:
                reader.join(SECONDS)
            worker.channel.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with a_worker() as worker:
        yield worker


@pytest.fixture
def run(worker: Worker) -> Iterator[Run]:
    run = worker.run()
    yield run
    run.close()
    worker.said.get(timeout=SECONDS)


@pytest.fixture(scope="module")
def null() -> Iterator[str]:
    with null_server() as address:
        yield address


def test_the_clock_is_this_machines(worker: Worker) -> None:
    before = time.time_ns()
    said = worker.stub.GetClock(load_pb2.GetClockRequest())
    assert before <= said.unix_ns <= time.time_ns()
    assert said.cores > 0
    assert said.host


def test_slices_end_at_multiples_of_their_length(run: Run, null: str) -> None:
    run.begin(closed_plan(null))
    slices = [run.slice() for _ in range(4)]
    for number, slice_ in enumerate(slices, 1):
        # Never before; how long after depends on the machine.
        assert slice_.end_ns >= number * SLICE_NS - 1_000_000
    slices += run.stop()
    assert slices[0].start_ns == 0
    assert all(left.end_ns == right.start_ns for left, right in pairwise(slices))
    assert slices[-1].outstanding == 0
    parts = [slice_.workloads[0] for slice_ in slices]
    assert sum(part.sent for part in parts) == sum(part.completed for part in parts) > 0


def test_it_begins_when_it_is_told(run: Run, null: str) -> None:
    moment = run.begin(closed_plan(null), seconds=0.3)
    first = run.slice()
    assert time.time_ns() > moment
    # To the precision with which a busy machine reads two clocks one after the other.
    assert abs(first.started_unix_ns - moment) < 0.1e9


def test_the_slice_is_cut_where_a_limited_number_ends(run: Run, null: str) -> None:
    run.say(plan=closed_plan(null, requests=40))
    next(run.call)
    moment = time.time_ns() + 100_000_000
    run.say(begin=load_pb2.Begin(unix_ns=moment, slice_ns=10 * 10**9))
    run.say(measure=load_pb2.Measure(unix_ns=moment))
    found = run.slice()
    assert found.finished
    assert found.end_ns < 10e9
    assert found.workloads[0].completed >= 40


def test_one_run_at_a_time_and_who_has_it(worker: Worker, run: Run, null: str) -> None:
    run.begin(closed_plan(null))
    run.slice()
    with pytest.raises(grpc.RpcError) as caught:
        next(worker.run().call)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "it works for 127.0.0.1:" in error.details()
    # Whoever has it does not notice, and clocks are told meanwhile.
    run.slice()
    assert worker.stub.GetClock(load_pb2.GetClockRequest()).unix_ns
    run.stop()


def test_a_coordinator_that_goes_away_ends_the_load(worker: Worker) -> None:
    server = NullServer(0, protocol="grpc", answer=b"")
    run = worker.run()
    run.begin(open_plan(f"127.0.0.1:{server.port}", 500))
    run.slice()
    run.call.cancel()
    # The line comes after the end of the generator, and the worker is free by then.
    line = worker.said.get(timeout=SECONDS)
    assert "the coordinator went away" in line
    again = worker.run()
    again.begin(closed_plan(f"127.0.0.1:{server.port}"))
    assert threads_named("load-") == 1
    again.stop()
    worker.said.get(timeout=SECONDS)
    assert threads_named("load-") == 0
    server.close()


def threads_named(prefix: str) -> int:
    """Of this process, the native ones as well."""
    return sum(_name(task).startswith(prefix) for task in Path("/proc/self/task").iterdir())


def _name(task: Path) -> str:
    """Empty of one that has ended while others were looked at."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return (task / "comm").read_text()
    return ""


def test_half_a_run_is_none(run: Run, null: str) -> None:
    run.begin(closed_plan(null))
    run.slice()
    # Nothing more will be said, a stop neither.
    run.say_no_more()
    assert all(response.HasField("slice") for response in run.call)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plan: plan.ClearField("target"), "names no target"),
        (lambda plan: plan.ClearField("closed"), "when to send"),
        (lambda plan: plan.workloads[0].ClearField("scripts"), "no payload"),
    ],
)
def test_a_plan_that_cannot_be_carried_out(
    run: Run, null: str, change: Callable[[load_pb2.LoadPlan], object], said: str
) -> None:
    plan = closed_plan(null)
    change(plan)
    run.say(plan=plan)
    failure = run.failure()
    assert failure.plan
    assert said in failure.message


def test_a_target_that_refuses(run: Run) -> None:
    run.say(plan=closed_plan("127.0.0.1:1"))
    failure = run.failure()
    assert not failure.plan
    assert "cannot reach 127.0.0.1:1" in failure.message


def test_steps_in_another_order(run: Run) -> None:
    run.say(stop=load_pb2.Stop())
    assert run.failure().message == "expected plan, found stop"


def test_a_step_twice(run: Run, null: str) -> None:
    run.begin(closed_plan(null))
    run.say(measure=load_pb2.Measure(unix_ns=time.time_ns()))
    *_, last = run.call
    assert last.failure.message == "expected stop, found measure"


@pytest.mark.parametrize(
    ("ahead", "slice_ns", "said"),
    [
        (-1.0, SLICE_NS, "the common start was 1."),
        (3600.0, SLICE_NS, "expected 60 s at most"),
        (0.2, 0, "found slices of 0 s"),
        (0.2, 10**12, "found slices of 1000 s"),
    ],
)
def test_a_beginning_that_makes_no_sense(run: Run, null: str, ahead: float, slice_ns: int, said: str) -> None:
    run.say(plan=closed_plan(null))
    next(run.call)
    run.say(begin=load_pb2.Begin(unix_ns=time.time_ns() + round(ahead * 1e9), slice_ns=slice_ns))
    assert said in run.failure().message


def test_a_drain_that_is_too_long(run: Run, null: str) -> None:
    run.begin(closed_plan(null))
    run.say(stop=load_pb2.Stop(drain_ns=10**13))
    *_, last = run.call
    assert "found a drain of 10000 s" in last.failure.message


def test_a_worker_that_is_told_to_end_says_so(null: str) -> None:
    readers: list[threading.Thread] = []
    with a_worker(readers) as worker:
        run = worker.run()
        run.begin(closed_plan(null))
        run.slice()
        ended: list[load_pb2.GenerateResponse] = []
        readers.append(threading.Thread(target=lambda: ended.extend(run.call)))
        readers[0].start()
    assert ended[-1].failure.message == "the worker was told to end"
    assert "the worker was told to end" in worker.said.get(timeout=SECONDS)
    run.close()
