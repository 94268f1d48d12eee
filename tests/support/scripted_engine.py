"""A load generator whose time is in its slices: it sends nothing and waits for nobody."""

from collections.abc import Callable
from dataclasses import dataclass, field

from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import Histogram
from infermesh_perf.load.engine import CONNECT_SECONDS

MS = 1_000_000
SECOND = 1_000_000_000


def encoded(*values: int) -> bytes:
    """A histogram of nanoseconds."""
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram.encode()


def times(value: int, count: int) -> bytes:
    """A histogram of one value, so many times."""
    histogram = Histogram()
    histogram.record(value, count)
    return histogram.encode()


def told(
    completed: int, latency_ns: int = MS, *, failed: int = 0, kind: str = "UNAVAILABLE"
) -> load_pb2.WorkloadSlice:
    """What one workload got: each answer took as long, and was sent when it was due."""
    found = load_pb2.WorkloadSlice(
        completed=completed,
        sent=completed + failed,
        responses=completed,
        latency=times(latency_ns, completed),
        service=times(latency_ns, completed),
        lag=times(0, completed + failed),
        sent_bytes=100 * (completed + failed),
        received_bytes=10 * completed,
    )
    if failed:
        found.errors.add(kind=kind, count=failed, message="no", latency=times(latency_ns, failed))
    return found


#: From when to when, in seconds, to what happened meanwhile.
Happening = Callable[[float, float], load_pb2.LoadSlice]


def steady(rate: float, latency_ns: int = MS) -> Happening:
    """So many answers per second."""
    return lambda start, end: load_pb2.LoadSlice(workloads=[told(round(rate * (end - start)), latency_ns)])


@dataclass
class ScriptedEngine:
    """The engine's protocol. Waiting moves its clock, `take` cuts a slice of what the script says.

    `interrupt_at`: somebody presses Ctrl-C then. `finish_at`: all requests of a limited number are over.
    """

    happens: Happening
    interrupt_at: float | None = None
    finish_at: float | None = None
    #: What happens while requests under way are followed.
    rest: load_pb2.LoadSlice = field(default_factory=load_pb2.LoadSlice)
    #: Whether connections are there at a moment.
    connected: Callable[[float], bool] = lambda _: True
    now: float = 0.0
    calls: list[str] = field(default_factory=list)
    drained_for: float | None = None
    _cut: float = 0.0
    _measuring: bool = False

    def connect(self, timeout: float = CONNECT_SECONDS) -> int:
        self.calls.append(f"connect {timeout:g}")
        return 1

    def start(self) -> None:
        self.calls.append("start")

    def measure(self) -> None:
        self.calls.append("measure")
        self._measuring = True

    def wait(self, seconds: float) -> bool:
        end = self.now + seconds
        if self.interrupt_at is not None and end >= self.interrupt_at:
            self.now, self.interrupt_at = self.interrupt_at, None
            raise KeyboardInterrupt
        if self.finish_at is not None and end >= self.finish_at:
            self.now = self.finish_at
            return True
        self.now = end
        return False

    def take(self) -> load_pb2.LoadSlice:
        if self.drained_for is None:
            slice_ = self.happens(self._cut, self.now)
        else:
            self.now += 0.5
            slice_ = self.rest
        slice_.start_ns, slice_.end_ns = round(self._cut * SECOND), round(self.now * SECOND)
        slice_.started_unix_ns = 1_700_000_000 * SECOND
        slice_.connections = int(self.connected(self.now))
        slice_.finished = self.finish_at is not None and self.now >= self.finish_at
        if not self._measuring:
            for each in slice_.workloads:
                # Of the warm-up only the number of answers is told.
                for name in ("latency", "service", "lag", "errors"):
                    each.ClearField(name)
        self._cut = self.now
        return slice_

    def stop(self, drain: float) -> None:
        self.calls.append("stop")
        self.drained_for = drain

    def close(self) -> None:
        self.calls.append("close")
