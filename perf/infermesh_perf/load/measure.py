"""Carries one level out: warm-up, windows, the end; and keeps what the slices say."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.analysis.stability import COUNT, Stability
from infermesh_perf.errors import RunError
from infermesh_perf.load.engine import Engine
from infermesh_perf.load.pacing import LONGEST, Pacing
from infermesh_perf.load.timeline import Timeline
from infermesh_perf.load.totals import Totals
from infermesh_perf.results.document import Window

#: Without any connection for so long, the server is taken to be gone.
GONE_SECONDS = 5.0
LONGEST_WARM_UP_SECONDS = 60.0

Phase = Literal["warm-up", "measuring", "draining"]


@dataclass(frozen=True)
class Progress:
    """What a live view shows, after each slice."""

    phase: Phase
    seconds: float
    #: Share of the level that is done, where that is known.
    share: float | None
    slice: load_pb2.LoadSlice
    window: int = 0


Watch = Callable[[Progress], None]


@dataclass
class Measurement:
    """What one level has shown."""

    totals: Totals
    timeline: Timeline
    windows: list[Window] = field(default_factory=list)
    stable: bool | None = None
    #: Requests under way at most, at the end of a slice.
    outstanding: int = 0
    started_unix_ns: int = 0
    #: When measuring began, since the generator's start.
    origin_ns: int = 0
    cut_short: str = ""


def measure(
    engine: Engine,
    workloads: int,
    pacing: Pacing,
    watch: Watch = lambda _: None,
    begin: Callable[[], None] = lambda: None,
    end: Callable[[], None] = lambda: None,
) -> Measurement:
    """Runs a connected engine through one level; `begin` and `end` are called around the measured time.

    A server that goes away, and an interrupt, cut the level short: what there is by then is returned. Raises
    RunError if nothing was measured by then.
    """
    return _Level(engine, workloads, pacing, watch).run(begin, end)


def carry_out(
    engine: Engine,
    workloads: int,
    pacing: Pacing,
    watch: Watch = lambda _: None,
    begin: Callable[[], None] = lambda: None,
    end: Callable[[], None] = lambda: None,
) -> Measurement:
    """Connects an engine, does as `measure` does, and closes it however that ends."""
    with closing(engine):
        engine.connect()
        return measure(engine, workloads, pacing, watch, begin, end)


class _Level:
    def __init__(self, engine: Engine, workloads: int, pacing: Pacing, watch: Watch) -> None:
        self._engine = engine
        self._workloads = workloads
        self._pacing = pacing
        self._watch = watch
        self._gone_since: float | None = None
        self._measuring = False
        self._windows: list[Totals] = []
        self._stability = Stability(pacing.stability_percent, pacing.trials)
        self._found = Measurement(Totals.empty(workloads), Timeline())

    def run(self, begin: Callable[[], None], end: Callable[[], None]) -> Measurement:
        found = self._found
        try:
            self._engine.start()
            self._warm_up()
            begin()
            # Slices from here on count.
            last = self._engine.take()
            found.started_unix_ns, found.origin_ns = last.started_unix_ns, last.end_ns
            self._measuring = True
            self._engine.measure()
            self._windowed()
        except KeyboardInterrupt:
            found.cut_short = "interrupted"
        except RunError as error:
            found.cut_short = str(error)
        if self._measuring:
            end()
        self._drain()
        self._sum_up()
        if found.cut_short and not found.totals.seconds:
            raise RunError(f"nothing was measured: {found.cut_short}")
        return found

    def _warm_up(self) -> None:
        pacing, seconds, completed = self._pacing, 0.0, 0
        while seconds < pacing.warm_up_seconds or completed < pacing.warm_up_requests:
            left = max(pacing.warm_up_seconds - seconds, 0.01)
            slice_ = self._next(min(pacing.slice_seconds, left))
            seconds = slice_.end_ns / 1e9
            completed += sum(part.completed for part in slice_.workloads)
            self._watch(Progress("warm-up", seconds, None, slice_))
            if seconds > max(LONGEST_WARM_UP_SECONDS, 2 * pacing.warm_up_seconds):
                raise RunError(f"the warm-up brought {completed} answers in {seconds:.0f} s")

    def _windowed(self) -> None:
        pacing, seconds, over = self._pacing, 0.0, False
        while not over:
            window = Totals.empty(self._workloads)
            self._windows.append(window)
            first = seconds
            while not over and window.seconds < pacing.window_seconds - 1e-3:
                left = min(pacing.window_seconds - window.seconds, self._left(seconds))
                slice_ = self._next(min(pacing.slice_seconds, max(left, 0.001)))
                if not seconds:
                    # Workers on other machines may have begun a slice later than they were told.
                    self._found.origin_ns = slice_.start_ns
                window.add(slice_)
                self._found.timeline.add(slice_)
                self._found.outstanding = max(self._found.outstanding, slice_.outstanding)
                seconds = (slice_.end_ns - self._found.origin_ns) / 1e9
                over = slice_.finished or self._time_is_up(seconds)
                self._watch(Progress("measuring", seconds, self._share(seconds), slice_, len(self._windows)))
                self._abort_if_late(window)
            self._stability.add(self._judged(first, window))
            over = over or (pacing.judges_stability and self._stability.done)

    def _abort_if_late(self, window: Totals) -> None:
        most = self._pacing.abort_seconds
        waited = window.all.lag.max / 1e9
        if most is not None and waited > most:
            raise RunError(f"a request waited {waited:.3g} s to be sent, {most:g} s are allowed")

    def _left(self, seconds: float) -> float:
        """Until the time is up, where there is one; beyond it, slice by slice."""
        left = math.inf if self._pacing.seconds is None else self._pacing.seconds - seconds
        return left if left > 0 else self._pacing.slice_seconds

    def _time_is_up(self, seconds: float) -> bool:
        wanted = self._pacing.seconds
        if wanted is None or seconds < wanted - 1e-3:
            return False
        ended = sum(window.completed + window.failed_in_time for window in self._windows)
        return ended >= self._pacing.minimum_requests or seconds >= LONGEST * wanted

    def _share(self, seconds: float) -> float | None:
        pacing = self._pacing
        shares = [] if pacing.longest_seconds is None else [seconds / pacing.longest_seconds]
        if pacing.requests is not None:
            ended = sum(window.completed + window.failed_in_time for window in self._windows)
            shares.append(ended / pacing.requests)
        return min(max(shares), 1.0) if shares else None

    def _next(self, seconds: float) -> load_pb2.LoadSlice:
        self._engine.wait(seconds)
        slice_ = self._engine.take()
        now = slice_.end_ns / 1e9
        if slice_.connections or slice_.finished:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = now
        elif now - self._gone_since > GONE_SECONDS:
            why = slice_.connection_error or "no connection is left"
            raise RunError(f"the server went away and did not come back within {GONE_SECONDS:.0f} s: {why}")
        return slice_

    def _judged(self, start: float, window: Totals) -> Window:
        latency = window.all.latency
        percentile = self._pacing.percentile
        return Window(
            start_seconds=start,
            seconds=window.seconds,
            throughput=window.throughput,
            latency_ns=latency.mean if percentile is None else latency.percentile(percentile),
        )

    def _drain(self) -> None:
        """Requests that were due in time belong to the result, however late they end."""
        found = self._found
        patience = 0.0 if found.cut_short else self._pacing.drain_seconds
        try:
            self._engine.stop(patience)
            last = self._engine.take()
        except KeyboardInterrupt:
            found.cut_short = found.cut_short or "interrupted"
            return
        except RunError as error:
            found.cut_short = found.cut_short or str(error)
            return
        if self._measuring:
            rest = Totals.empty(self._workloads)
            rest.add(last, in_time=False)
            self._windows.append(rest)
            self._watch(Progress("draining", last.end_ns / 1e9, 1.0, last))

    def _sum_up(self) -> None:
        found, pacing = self._found, self._pacing
        found.windows = list(self._stability.windows)
        whole = self._windows
        if pacing.judges_stability:
            found.stable = self._stability.stable
            if found.stable and not found.cut_short:
                # The windows that agree, and what was still under way; those before are not settled.
                whole = self._windows[-COUNT - 1 :]
        for window in whole:
            found.totals.merge(window)
