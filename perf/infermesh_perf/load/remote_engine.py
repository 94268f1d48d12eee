"""An engine whose threads are on other machines: one plan, divided among workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.load.division import delays
from infermesh_perf.load.engine import CONNECT_SECONDS
from infermesh_perf.load.merge import Merger
from infermesh_perf.load.plan import shares
from infermesh_perf.load.worker_address import WorkerAddress
from infermesh_perf.load.worker_clock import Anchor, ClockOffset
from infermesh_perf.load.worker_greeting import Greeting, greet
from infermesh_perf.load.worker_link import WorkerLink
from infermesh_perf.load.worker_tls import WorkerTls

#: The common start is so far ahead that word of it is everywhere before, even on busy machines.
START_SECONDS = 0.25
#: The end of the warm-up is nearer: a worker that hears of it late counts from then on.
MEASURE_SECONDS = 0.02
#: A worker that says nothing for longer than it should is given up after so many seconds more.
PATIENCE_SECONDS = 10.0


class RemoteEngine:
    """The engine's protocol over workers, each of which has something to do: see `division.usable`.

    A slice is `slice_seconds` long, or a multiple of that: `take` waits for the next one of all workers.
    `greeted` is called with each worker when connecting.
    """

    def __init__(
        self,
        plan: load_pb2.LoadPlan,
        workers: Sequence[WorkerAddress],
        tls: WorkerTls | None = None,
        slice_seconds: float = 0.25,
        greeted: Callable[[Greeting], None] = lambda _: None,
    ) -> None:
        self._plan = plan
        self._links = [WorkerLink(address, tls) for address in workers]
        self._slice_ns = round(slice_seconds * 1e9)
        self._greeted = greeted
        self._clocks: list[ClockOffset] = []
        self._delays = delays(plan, len(workers))
        self._anchor = Anchor.now()
        self._start_ns = 0
        self._merger = Merger(plan, 0, self._delays)
        #: Slices of each worker that were taken.
        self._number = 0
        self._stopped = False

    def connect(self, timeout: float = CONNECT_SECONDS) -> int:
        """As the protocol says; SetupError for a worker of another version and one that refuses the plan."""
        for link in self._links:
            greeting = greet(link, timeout)
            self._clocks.append(greeting.clock)
            self._greeted(greeting)
        for link, part in zip(self._links, shares(self._plan, len(self._links)), strict=True):
            link.send(part)
        # They connect side by side; what a worker says about the target is worth waiting for.
        deadline = time.monotonic() + timeout + PATIENCE_SECONDS
        return sum(link.ready(deadline - time.monotonic()) for link in self._links)

    def start(self) -> None:
        """As the protocol says: at a moment ahead that all workers have in common."""
        self._anchor = Anchor.now()
        self._start_ns = self._anchor.unix_ns + round(START_SECONDS * 1e9) + self._round_trip_ns
        self._merger = Merger(self._plan, self._start_ns, self._delays)
        for link, clock, delay in zip(self._links, self._clocks, self._delays, strict=True):
            begin = load_pb2.Begin(unix_ns=clock.theirs(self._start_ns + delay), slice_ns=self._slice_ns)
            link.say(load_pb2.GenerateRequest(begin=begin))

    def measure(self) -> None:
        """As the protocol says: from the next slice on before which all workers can have heard of it.

        Waits for that slice to begin. Raises what `take` raises.
        """
        known = self._anchor.unix(time.monotonic_ns()) + round(MEASURE_SECONDS * 1e9) + self._round_trip_ns
        # Rounded up.
        number = max(-((self._start_ns - known) // self._slice_ns), self._number)
        moment = self._start_ns + number * self._slice_ns
        for link, clock, delay in zip(self._links, self._clocks, self._delays, strict=True):
            measure = load_pb2.Measure(unix_ns=clock.theirs(moment + delay))
            link.say(load_pb2.GenerateRequest(measure=measure))
        while self._number < number:
            self._merger.pass_over(self._next(number - self._number))

    def take(self) -> load_pb2.LoadSlice:
        """As the protocol says. Waits for the next slice of every worker; after the end, what is left."""
        if self._stopped:
            return self._merger.merge([link.take(link.available) for link in self._links])
        return self._merger.merge(self._next())

    def wait(self, seconds: float) -> bool:
        """As the protocol says."""
        deadline = time.monotonic() + seconds
        return all(link.finished(deadline - time.monotonic()) for link in self._links)

    def stop(self, drain: float) -> None:
        """As the protocol says. Raises RunError if a worker does not tell its end."""
        stop = load_pb2.Stop(drain_ns=round(drain * 1e9))
        for link in self._links:
            link.say(load_pb2.GenerateRequest(stop=stop))
        deadline = time.monotonic() + drain + PATIENCE_SECONDS
        for link in self._links:
            link.is_over(deadline - time.monotonic())
        self._stopped = True

    def close(self) -> None:
        """As the protocol says; workers that still send stop at once."""
        for link in self._links:
            link.close()

    def _next(self, most: int = 1 << 30) -> list[list[load_pb2.LoadSlice]]:
        """The next slices that all workers have told, one at least of each."""
        patience = START_SECONDS + (self._slice_ns + max(self._delays)) / 1e9 + PATIENCE_SECONDS
        deadline = time.monotonic() + patience
        for link in self._links:
            link.has_slice(deadline - time.monotonic())
        count = min(most, *(link.available for link in self._links))
        self._number += count
        return [link.take(count) for link in self._links]

    @property
    def _round_trip_ns(self) -> int:
        """Of the slowest worker."""
        return max(2 * clock.error_ns for clock in self._clocks)
