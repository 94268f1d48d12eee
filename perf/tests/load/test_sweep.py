"""One load after the other, and what is kept when one of them fails."""

from collections.abc import Callable, Iterator
from typing import cast

import pytest
from infermesh.errors import InfermeshError
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.errors import RunError
from infermesh_perf.load.level import Context
from infermesh_perf.load.levels import Driver, sweep
from infermesh_perf.load.measure import Watch
from infermesh_perf.load.observe import Observers
from infermesh_perf.load.pacing import Pacing
from infermesh_perf.load.plan import Sending
from infermesh_perf.load.prepared import Prepared
from infermesh_perf.results.document import Level, Load, WorkloadSummary
from infermesh_perf.target.api import Api, ServerInfo
from support.scripted_engine import SECOND, ScriptedEngine, steady, told

LOADS = [Load(mode="concurrency", value=value) for value in (1, 2, 4)]


class Silent:
    """A server that tells nothing of itself, or fails to."""

    def __init__(self, failure: str = "") -> None:
        self.failure = failure

    def statistics(self) -> pb.ModelStatisticsResponse | None:
        if self.failure:
            raise InfermeshError(self.failure)
        return None


class Viewer:
    def __init__(self) -> None:
        self.began: list[tuple[int, float]] = []
        self.ended: list[Level] = []

    def watch(self, position: int, load: Load) -> Watch:
        self.began.append((position, load.value))
        return lambda _: None

    def done(self, level: Level) -> None:
        self.ended.append(level)


def driver(*engines: ScriptedEngine | BaseException, server: Silent | None = None) -> Driver:
    """The next engine for each level; an exception is what a level's connection comes to."""
    api = cast(Api, server or Silent())
    script = load_pb2.Script(payloads=[load_pb2.Payload(body=b"x")])
    workload = load_pb2.Workload(name="m", path="/p", weight=1, scripts=[script])
    summary = WorkloadSummary(
        name="m",
        model="m",
        version="",
        weight=1,
        batch=1,
        inputs=[],
        source="a test",
        payloads=1,
        payload_bytes=1,
    )
    prepared = Prepared(
        api, ServerInfo("s", "1", ()), load_pb2.Target(), [workload], [summary], [("m", "")], b""
    )
    queue: Iterator[ScriptedEngine | BaseException] = iter(engines)

    def make(_: load_pb2.LoadPlan) -> ScriptedEngine:
        engine = next(queue)
        if isinstance(engine, BaseException):
            raise engine
        return engine

    observers = Observers(api, [("m", "")], None, None)
    pacing = Pacing(1, warm_up_seconds=0, seconds=1)
    return Driver(prepared, observers, Sending(), pacing, Context(["m"], [1]), make)


def engine(**more: object) -> ScriptedEngine:
    return ScriptedEngine(steady(100), **more)  # type: ignore[arg-type]


def test_every_load_in_its_order() -> None:
    viewer, engines = Viewer(), [engine(), engine(), engine()]

    levels = sweep(driver(*engines), LOADS, viewer)

    assert [level.load.value for level in levels] == [1, 2, 4]
    assert viewer.began == [(0, 1), (1, 2), (2, 4)]
    assert viewer.ended == levels
    assert all(it.calls[0].startswith("connect") and it.calls[-1] == "close" for it in engines)


def test_until_it_is_enough() -> None:
    found = driver(engine(), engine(), engine())

    levels = sweep(found, LOADS, Viewer(), lambda level: level.load.value >= 2)

    assert [level.load.value for level in levels] == [1, 2]
    assert found.cut_short == ""


def test_a_level_that_is_cut_short_is_the_last() -> None:
    found = driver(engine(), engine(interrupt_at=0.6), engine())

    levels = sweep(found, LOADS, Viewer())

    assert [level.completed for level in levels] == [100, 50]
    assert found.cut_short == "interrupted"


@pytest.mark.parametrize(
    ("failure", "said"),
    [(RunError("refused"), "concurrency 2: refused"), (KeyboardInterrupt(), "interrupted")],
)
def test_what_was_found_is_kept(failure: BaseException, said: str) -> None:
    found = driver(engine(), failure)

    levels = sweep(found, LOADS, Viewer())

    assert [level.completed for level in levels] == [100]
    assert found.cut_short == said


@pytest.mark.parametrize("failure", [RunError("refused"), KeyboardInterrupt()])
def test_nothing_was_found(failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        sweep(driver(failure), LOADS, Viewer())


def test_an_engine_is_closed_whatever_happens() -> None:
    broken = engine(interrupt_at=0.1)
    broken.rest = load_pb2.LoadSlice(workloads=[told(0)])

    with pytest.raises(RunError, match="nothing was measured"):
        driver(broken).run(LOADS[0], lambda _: None)

    assert broken.calls[-1] == "close"


def test_a_server_that_fails_to_tell_of_itself_is_remarked_on_once() -> None:
    found = driver(engine(), engine(), server=Silent("it is busy"))

    levels = sweep(found, LOADS[:2], Viewer())

    assert found.remarks == ["no statistics of the server: it is busy"]
    assert [[hop.name for hop in level.hops] for level in levels] == [["client lag", "server"]] * 2


def test_requests_one_by_one_belong_to_their_level() -> None:
    def described(due: int) -> Callable[[float, float], load_pb2.LoadSlice]:
        def happens(start: float, _: float) -> load_pb2.LoadSlice:
            slice_ = load_pb2.LoadSlice(workloads=[told(1)])
            if start == 0.5:
                slice_.workloads[0].records.add(due_ns=due)
            return slice_

        return happens

    found = driver(ScriptedEngine(described(7)), ScriptedEngine(described(8)))
    found.sending = Sending(records=9)

    sweep(found, LOADS[:2], Viewer())

    assert [(it.load.value, [record.due_ns for record in it.records]) for it in found.experiments] == [
        (1, [7]),
        (2, [8]),
    ]
    assert found.experiments[0].started_unix_ns == 1_700_000_000 * SECOND
