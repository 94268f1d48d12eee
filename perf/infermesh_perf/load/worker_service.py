"""The service of a worker: its clock, and one run at a time."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote

import grpc
from infermesh.proto.infermesh_load_v1 import load_pb2, load_pb2_grpc

from infermesh_perf.load.worker_run import WorkerRun
from infermesh_perf.load.worker_steps import EndedError, RefusedError, Steps

Tell = Callable[[str], None]

#: A run whose coordinator went away a moment ago may still be ending.
FREE_SECONDS = 1.0


class LoadWorkerService(load_pb2_grpc.LoadWorkerServiceServicer):
    """Answers a coordinator. `tell` gets a sentence for each run that is over, from any thread."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._version, self._host = version("infermesh"), platform.node()
        self._cores = len(os.sched_getaffinity(0))
        self._free = threading.Condition()
        self._steps: Steps | None = None
        self._holder = ""
        self._since = 0.0
        self._closed = False

    def GetClock(self, request: load_pb2.GetClockRequest, context: Any) -> load_pb2.GetClockResponse:  # noqa: N802, ARG002 - gRPC's
        """As quick as it can be."""
        return load_pb2.GetClockResponse(
            version=self._version, cores=self._cores, host=self._host, unix_ns=time.time_ns()
        )

    def Generate(  # noqa: N802 - gRPC's
        self, request_iterator: Iterator[load_pb2.GenerateRequest], context: Any
    ) -> Iterator[load_pb2.GenerateResponse]:
        """One run; RESOURCE_EXHAUSTED while another one lasts, with who has it."""
        peer = _peer(context)
        steps = self._begin(request_iterator, peer, context)
        run, began, said = WorkerRun(steps), time.monotonic(), ""
        try:
            yield from run.responses()
        except RefusedError as error:
            said = str(error)
            yield load_pb2.GenerateResponse(failure=load_pb2.Failure(message=said, plan=error.plan))
        except EndedError as error:
            said = str(error) or "the coordinator went away"
            if str(error):
                yield load_pb2.GenerateResponse(failure=load_pb2.Failure(message=said))
        except GeneratorExit:
            said = "the coordinator went away"
            raise
        finally:
            self._end()
            self._tell(_summary(run, peer, time.monotonic() - began, said))

    def close(self) -> None:
        """Ends the run that there is, whose coordinator is told, and takes no other."""
        with self._free:
            self._closed = True
            self._free.notify_all()
            if self._steps is not None:
                self._steps.end("the worker was told to end")

    def _begin(self, requests: Iterator[load_pb2.GenerateRequest], peer: str, context: Any) -> Steps:
        with self._free:
            self._free.wait_for(lambda: self._closed or self._steps is None, FREE_SECONDS)
            if self._closed:
                context.abort(grpc.StatusCode.UNAVAILABLE, "the worker ends")
            if self._steps is not None:
                seconds = time.monotonic() - self._since
                busy = f"it works for {self._holder} since {seconds:.0f} s"
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, busy)
            self._steps = steps = Steps(requests)
            self._holder, self._since = peer, time.monotonic()
        if not context.add_callback(steps.end):
            steps.end()
        return steps

    def _end(self) -> None:
        with self._free:
            self._steps = None
            self._free.notify_all()


def _peer(context: Any) -> str:
    """`10.0.0.5:4242`, from gRPC's `ipv4:10.0.0.5:4242`."""
    return unquote(str(context.peer())).partition(":")[2]


def _summary(run: WorkerRun, peer: str, seconds: float, said: str) -> str:
    asked = _load(run.plan) if run.plan.HasField("target") else "no plan"
    counts = f"{run.completed:,} answers, {run.failed:,} failed, {seconds:.1f} s"
    return f"for {peer}: {asked}: {counts}" + (f": {said}" if said else "")


def _load(plan: load_pb2.LoadPlan) -> str:
    kind = plan.WhichOneof("arrivals")
    if kind == "closed":
        load = f"concurrency {plan.closed.concurrency}"
    elif kind == "open" and plan.open.HasField("replay"):
        load = "recorded intervals"
    else:
        load = f"{plan.open.constant or plan.open.poisson:,.0f}/s"
    return f"{load} on {plan.target.address}"
