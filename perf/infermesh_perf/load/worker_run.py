"""One run of a worker: from the coordinator's steps to slices, with the native generator."""

from __future__ import annotations

import time
from collections.abc import Iterator

from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import LoadGenerator

from infermesh_perf.load.engine import CONNECT_SECONDS
from infermesh_perf.load.worker_clock import Anchor
from infermesh_perf.load.worker_steps import RefusedError, Steps

#: A large plan takes its time on the network.
PLAN_SECONDS = 60.0
#: Other workers may still connect.
BEGIN_SECONDS = 60.0
MOST_AHEAD_SECONDS = 60.0
MOST_DRAIN_SECONDS = 600.0
SHORTEST_SLICE_NS, LONGEST_SLICE_NS = 1_000_000, 60_000_000_000
#: While the end of a limited number of requests is waited for, steps are looked for this often.
LOOK_SECONDS = 0.05


class WorkerRun:
    """Carries one plan out. `plan`, once it is there, and the counts are for people."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._generator: LoadGenerator | None = None
        self.plan = load_pb2.LoadPlan()
        self.completed = 0
        self.failed = 0

    def responses(self) -> Iterator[load_pb2.GenerateResponse]:
        """All that the coordinator is answered; the generator ends with the iterator.

        Raises RefusedError for what cannot be carried out, and EndedError if the coordinator went away.
        """
        self.plan = self._steps.expect("plan", PLAN_SECONDS).plan
        try:
            self._generator = LoadGenerator(self.plan.SerializeToString())
            yield load_pb2.GenerateResponse(ready=load_pb2.Ready(connections=self._connect()))
            begin = self._steps.expect("begin", BEGIN_SECONDS).begin
            for slice_ in self._slices(begin):
                self._count(slice_)
                yield load_pb2.GenerateResponse(slice=slice_)
        except ValueError as error:
            raise RefusedError(str(error), plan=True) from error
        finally:
            # The only reference: its threads end at once, whatever they wait for.
            self._generator = None

    def _connect(self) -> int:
        try:
            return self._native.connect(CONNECT_SECONDS)
        except OSError as error:
            raise RefusedError(str(error)) from error

    def _slices(self, begin: load_pb2.Begin) -> Iterator[load_pb2.LoadSlice]:
        """One for each multiple of the slice's length, even if it comes late: they are counted.

        The one in which a limited number of requests ends is cut at that end: rates are made of its length.
        """
        start = _start(begin)
        self._native.start(max(start - time.monotonic_ns(), 0) / 1e9)
        boundary = start + begin.slice_ns
        measuring = finished = False
        while True:
            step, cut = None, False
            left = (boundary - time.monotonic_ns()) / 1e9
            if left <= 0:
                cut = True
                step = self._steps.next(0)
            elif measuring and self.plan.request_count and not finished:
                finished = cut = self._native.wait(min(left, LOOK_SECONDS))
                step = self._steps.next(0)
            else:
                step = self._steps.next(left)
            if step is not None and step.HasField("stop"):
                self._native.stop(_drain(step.stop))
                yield self._take()
                return
            if step is not None:
                if measuring or not step.HasField("measure"):
                    raise RefusedError(
                        f"expected stop, found {step.WhichOneof('step') or 'an empty message'}"
                    )
                measuring = True
                # From the start on only the monotonic clock counts, whatever happens to the other.
                moment = start + step.measure.unix_ns - begin.unix_ns
                self._native.measure(max(moment - time.monotonic_ns(), 0) / 1e9)
            if cut:
                boundary += begin.slice_ns
                yield self._take()

    def _take(self) -> load_pb2.LoadSlice:
        return load_pb2.LoadSlice.FromString(self._native.take())

    @property
    def _native(self) -> LoadGenerator:
        if self._generator is None:
            raise RuntimeError("the generator is closed")
        return self._generator

    def _count(self, slice_: load_pb2.LoadSlice) -> None:
        self.completed += sum(part.completed for part in slice_.workloads)
        self.failed += sum(error.count for part in slice_.workloads for error in part.errors)


def _start(begin: load_pb2.Begin) -> int:
    """The start on the monotonic clock, nanoseconds."""
    if not SHORTEST_SLICE_NS <= begin.slice_ns <= LONGEST_SLICE_NS:
        raise RefusedError(f"found slices of {begin.slice_ns / 1e9:g} s, expected 0.001 s to 60 s")
    start = Anchor.now().monotonic(begin.unix_ns)
    ahead = (start - time.monotonic_ns()) / 1e9
    if ahead < 0:
        raise RefusedError(
            f"the common start was {-ahead:.3f} s ago when word of it came: the network is too slow"
        )
    if ahead > MOST_AHEAD_SECONDS:
        raise RefusedError(f"found a start {ahead:.0f} s ahead, expected {MOST_AHEAD_SECONDS:.0f} s at most")
    return start


def _drain(stop: load_pb2.Stop) -> float:
    seconds = stop.drain_ns / 1e9
    if seconds > MOST_DRAIN_SECONDS:
        raise RefusedError(f"found a drain of {seconds:.0f} s, expected {MOST_DRAIN_SECONDS:.0f} s at most")
    return seconds
