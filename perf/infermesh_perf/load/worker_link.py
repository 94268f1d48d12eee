"""The coordinator's side of one worker and one run."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from infermesh.errors import InfermeshError
from infermesh.proto.infermesh_load_v1 import load_pb2, load_pb2_grpc

from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.load.worker_address import WorkerAddress
from infermesh_perf.load.worker_errors import broken, refused, silent
from infermesh_perf.load.worker_tls import WorkerTls
from infermesh_perf.load.worker_wire import MAX_PLAN_BYTES, channel

CLOSE_SECONDS = 5.0

Steps = queue.SimpleQueue[load_pb2.GenerateRequest | None]


class WorkerLink:
    """Says the steps, and keeps what the worker tells until that is taken. Timeouts are in seconds."""

    def __init__(self, address: WorkerAddress, tls: WorkerTls | None) -> None:
        self.address = address
        self._secured = tls is not None
        self._channel = channel(address, tls)
        self._stub = load_pb2_grpc.LoadWorkerServiceStub(self._channel)
        self._steps: Steps = queue.SimpleQueue()
        self._reader: threading.Thread | None = None
        self._call: Any = None
        self._news = threading.Condition()
        self._connections: int | None = None
        self._slices: deque[load_pb2.LoadSlice] = deque()
        self._finished = self._over = self._stopped = False
        self._error: InfermeshError | None = None

    def get_clock(self, timeout: float) -> load_pb2.GetClockResponse:
        """The worker's clock, and what its machine is.

        Raises SetupError for what is no worker, and RunError if nothing is answered in time.
        """
        try:
            return self._stub.GetClock(load_pb2.GetClockRequest(), timeout=timeout)
        except grpc.RpcError as error:
            raise broken(self.address, error, secured=self._secured, known=False) from error

    def send(self, plan: load_pb2.LoadPlan) -> None:
        """Let it connect. Raises SetupError for a plan that is too large to travel."""
        size = plan.ByteSize()
        if size > MAX_PLAN_BYTES:
            raise SetupError(
                f"the plan has {size >> 20} MiB, expected {MAX_PLAN_BYTES >> 20} MiB at most for workers",
                hint="send fewer different inputs, or smaller ones",
            )
        self.say(load_pb2.GenerateRequest(plan=plan))
        self._call = self._stub.Generate(iter(self._steps.get, None))
        self._reader = threading.Thread(target=self._read, args=(self._call,), name="worker", daemon=True)
        self._reader.start()

    def say(self, step: load_pb2.GenerateRequest) -> None:
        """The next step of the run."""
        if step.HasField("stop"):
            with self._news:
                self._stopped = True
        self._steps.put(step)

    def ready(self, timeout: float) -> int:
        """Its connections, once they stand. Raises SetupError for a refused plan, RunError for the rest."""
        if not self._wait(lambda: self._connections is not None, timeout):
            raise silent(self.address, timeout)
        if self._connections is None:
            raise self._gone()
        return self._connections

    def finished(self, timeout: float) -> bool:
        """Whether all that it was to send is over, at the latest after `timeout`; False if the run broke."""
        self._wait(lambda: self._finished, timeout)
        return self._finished

    def has_slice(self, timeout: float) -> None:
        """Returns once there is a slice. Raises RunError if none comes in time, or none any more."""
        if not self._wait(lambda: bool(self._slices), timeout):
            raise silent(self.address, timeout)
        if not self._slices:
            raise self._gone()

    def is_over(self, timeout: float) -> None:
        """Returns once it was stopped and has told everything. Raises RunError if it does not get there."""
        if not self._wait(lambda: self._over, timeout):
            raise silent(self.address, timeout)
        if self._error is not None:
            raise self._error

    @property
    def available(self) -> int:
        """Slices that were not taken yet."""
        return len(self._slices)

    def take(self, count: int) -> list[load_pb2.LoadSlice]:
        """The next slices, of those that are available."""
        return [self._slices.popleft() for _ in range(count)]

    def close(self) -> None:
        """Ends the run, if it is not over, and the connection."""
        self._steps.put(None)
        if self._call is not None:
            self._call.cancel()
        self._channel.close()
        if self._reader is not None:
            self._reader.join(CLOSE_SECONDS)

    def _read(self, call: Iterator[load_pb2.GenerateResponse]) -> None:
        error: InfermeshError | None = None
        try:
            for response in call:
                with self._news:
                    if response.HasField("failure"):
                        error = refused(self.address, response.failure)
                    elif response.HasField("ready"):
                        self._connections = response.ready.connections
                    elif response.HasField("slice"):
                        self._slices.append(response.slice)
                        self._finished = response.slice.finished
                    self._news.notify_all()
        except grpc.RpcError as failure:
            error = error or broken(self.address, failure, secured=self._secured, known=True)
        with self._news:
            if error is None and not self._stopped:
                error = RunError(f"worker {self.address} ended the run by itself")
            self._error, self._over = error, True
            self._news.notify_all()

    def _wait(self, until: Callable[[], bool], timeout: float) -> bool:
        """False if neither that nor the end of the run comes in time."""
        with self._news:
            return self._news.wait_for(lambda: until() or self._over, max(timeout, 0))

    def _gone(self) -> InfermeshError:
        return self._error or RunError(f"worker {self.address} has told everything: its run is over")
