"""Workers that cannot take part, and what a coordinator is told about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import grpc
import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2, load_pb2_grpc
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.load import remote_engine, worker_link
from infermesh_perf.load.remote_engine import RemoteEngine
from infermesh_perf.load.worker_address import WorkerAddress, parse
from infermesh_perf.load.worker_server import serving
from infermesh_perf.load.workers import Workers
from support.load_workers import closed_plan, null_server

Responses = Callable[[Iterator[load_pb2.GenerateRequest]], Iterator[load_pb2.GenerateResponse]]


class Strange(load_pb2_grpc.LoadWorkerServiceServicer):
    """A worker of another version, with a clock that takes its time, or with runs that break."""

    def __init__(
        self, version: str, slowness: float = 0.0, responses: Responses = lambda _: iter(())
    ) -> None:
        self._version = version
        self._slowness = slowness
        self._responses = responses

    def GetClock(self, request: Any, context: Any) -> load_pb2.GetClockResponse:  # noqa: N802, ARG002 - gRPC's
        time.sleep(self._slowness)
        return load_pb2.GetClockResponse(version=self._version, unix_ns=time.time_ns())

    def Generate(self, request_iterator: Any, context: Any) -> Iterator[load_pb2.GenerateResponse]:  # noqa: N802, ARG002 - gRPC's
        return self._responses(request_iterator)


@contextmanager
def strange(*arguments: Any, **more: Any) -> Iterator[WorkerAddress]:
    server = grpc.server(ThreadPoolExecutor(4))
    add: Any = load_pb2_grpc.add_LoadWorkerServiceServicer_to_server
    add(Strange(*arguments, **more), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield WorkerAddress("127.0.0.1", port)
    finally:
        server.stop(None).wait(10)


@contextmanager
def engine_on(*workers: WorkerAddress) -> Iterator[RemoteEngine]:
    with null_server() as null:
        engine = RemoteEngine(closed_plan(null), workers, slice_seconds=0.05)
        try:
            yield engine
        finally:
            engine.close()


def test_nobody_is_there() -> None:
    with engine_on(WorkerAddress("127.0.0.1", 1)) as engine:
        with pytest.raises(RunError, match=r"cannot reach worker 127\.0\.0\.1:1: ") as caught:
            engine.connect()
        assert "infermesh perf worker" in str(caught.value.hint)


def test_another_version() -> None:
    with strange("0.0.1") as address, engine_on(address) as engine:
        with pytest.raises(
            SetupError, match=rf"worker {address} is of infermesh 0\.0\.1, expected "
        ) as caught:
            engine.connect()
        assert "same version" in str(caught.value.hint)


def test_a_clock_too_far_away() -> None:
    with (
        strange(version("infermesh"), 0.05) as address,
        engine_on(address) as engine,
        pytest.raises(RunError, match=rf"the clock of worker {address} is known to 2\d\.\d ms only"),
    ):
        engine.connect()


def test_a_server_that_is_no_worker() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with engine_on(WorkerAddress("127.0.0.1", port)) as engine:
            with pytest.raises(SetupError, match=f"127.0.0.1:{port} is no worker") as caught:
                engine.connect()
            assert "not the server's" in str(caught.value.hint)
    finally:
        server.stop(None).wait(10)


def test_one_that_is_busy() -> None:
    with (
        serving(WorkerAddress("127.0.0.1", 0), None, lambda _: None) as address,
        engine_on(address) as holder,
        engine_on(address) as late,
    ):
        assert holder.connect() == 1
        with pytest.raises(
            RunError, match=rf"worker {address} takes no run: it works for 127\.0\.0\.1:\d+"
        ) as caught:
            late.connect()
        assert "leave it out" in str(caught.value.hint)


def ready_and(*more: load_pb2.GenerateResponse) -> Responses:
    def responses(requests: Iterator[load_pb2.GenerateRequest]) -> Iterator[load_pb2.GenerateResponse]:
        next(requests)
        yield load_pb2.GenerateResponse(ready=load_pb2.Ready(connections=1))
        next(requests)
        yield from more

    return responses


def test_one_that_ends_its_run_by_itself() -> None:
    empty = load_pb2.LoadSlice(workloads=[load_pb2.WorkloadSlice(completed=3)], end_ns=5)
    responses = ready_and(load_pb2.GenerateResponse(slice=empty))
    with strange(version("infermesh"), responses=responses) as address, engine_on(address) as engine:
        assert engine.connect() == 1
        engine.start()
        # What it told before is not lost.
        assert engine.take().workloads[0].completed == 3
        with pytest.raises(RunError, match=rf"worker {address} ended the run by itself"):
            engine.take()
        assert not engine.wait(5)
        with pytest.raises(RunError, match="by itself"):
            engine.stop(1)


def test_one_that_says_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_engine, "PATIENCE_SECONDS", 0.1)

    def silent(requests: Iterator[load_pb2.GenerateRequest]) -> Iterator[load_pb2.GenerateResponse]:
        yield from ready_and()(requests)
        # Until the coordinator goes.
        for _ in requests:
            pass

    with strange(version("infermesh"), responses=silent) as address, engine_on(address) as engine:
        engine.connect()
        engine.start()
        with pytest.raises(RunError, match=rf"worker {address} has said nothing for"):
            engine.take()


def test_a_plan_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_link, "MAX_PLAN_BYTES", 8)
    with (
        serving(WorkerAddress("127.0.0.1", 0), None, lambda _: None) as address,
        engine_on(address) as engine,
        pytest.raises(SetupError, match="expected 0 MiB at most for workers"),
    ):
        engine.connect()


def test_none_and_one_twice() -> None:
    with pytest.raises(SetupError, match="found no worker"):
        Workers([])
    with pytest.raises(SetupError, match="found a worker twice"):
        Workers([parse("--worker", "box"), parse("--worker", "box:9410")])


@pytest.mark.parametrize(
    ("text", "shown"),
    [("box", "box:9410"), ("10.0.0.5:1", "10.0.0.5:1"), ("[::1]:7", "[::1]:7"), ("[::1]", "[::1]:9410")],
)
def test_addresses(text: str, shown: str) -> None:
    assert str(parse("--worker", text)) == shown


@pytest.mark.parametrize(
    "text", ["", "box:x", "box:70000", "::1:x", "http://box", "box/a", "a@box", "b ox", "box:0"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(SetupError, match="--worker: found"):
        parse("--worker", text)
