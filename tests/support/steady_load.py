"""A steady load of one kind of request: an open loop, which does not slow down when its target does."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from infermesh.proto.inference import grpc_service_pb2 as v2
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import Histogram, LoadGenerator

#: No condition of a test is waited for longer.
SECONDS = 20.0
_LOOK_SECONDS = 0.02

INFER = "/inference.GRPCInferenceService/ModelInfer"


@dataclass
class Told:
    """What became of all requests so far; ``errors`` by kind, with what one of each said."""

    sent: int = 0
    ok: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    messages: dict[str, str] = field(default_factory=dict)
    #: Of good answers and of errors, from the moment a request was due.
    latency: Histogram = field(default_factory=Histogram)
    error_latency: Histogram = field(default_factory=Histogram)

    @property
    def failed(self) -> int:
        """Requests without a good answer."""
        return self.errors.total()

    def p(self, percentile: float) -> float:
        """A percentile of the latency of good answers, in seconds."""
        return self.latency.percentile(percentile) / 1e9

    def add(self, slice_: load_pb2.LoadSlice) -> None:
        """What one slice tells."""
        (part,) = slice_.workloads
        self.sent += part.sent
        self.ok += part.completed
        self.latency.merge(Histogram.decode(part.latency))
        for error in part.errors:
            self.errors[error.kind] += error.count
            self.messages[error.kind] = error.message
            self.error_latency.merge(Histogram.decode(error.latency))


class SteadyLoad:
    """Sends ``rate`` requests a second for as long as its block lasts, then follows all to their end."""

    def __init__(
        self,
        target: str,
        request: v2.ModelInferRequest,
        rate: float,
        *,
        timeout: float = SECONDS,
        connections: int = 2,
    ) -> None:
        #: Of the whole, and since a moment that the test chose.
        self.told = Told()
        self.phase = Told()
        payload = load_pb2.Payload(body=request.SerializeToString())
        plan = load_pb2.LoadPlan(
            target=load_pb2.Target(address=target, protocol=load_pb2.PROTOCOL_GRPC),
            workloads=[
                load_pb2.Workload(
                    name="steady", path=INFER, weight=1.0, scripts=[load_pb2.Script(payloads=[payload])]
                )
            ],
            open=load_pb2.OpenLoop(constant=rate),
            threads=1,
            connections=connections,
            timeout_ns=round(timeout * 1e9),
            max_outstanding=4_096,
            seed=1,
        )
        self._generator = LoadGenerator(plan.SerializeToString())
        self._timeout = timeout

    def __enter__(self) -> Self:
        self._generator.connect(SECONDS)
        self._generator.start()
        self._generator.measure()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._generator.stop(self._timeout if error is None else 0.0)
        self._take()
        if error is None:
            assert self.told.ok + self.told.failed == self.told.sent, self.told

    def send(self, requests: int) -> None:
        """Return when so many more have been sent."""
        goal = self.now.sent + requests
        self.wait_until(lambda: self.told.sent >= goal, f"{requests} more requests sent")

    def wait_until(self, holds: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Return when a condition holds; fails if that takes too long."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}; {self.told}"
            time.sleep(_LOOK_SECONDS)
            self._take()

    @property
    def now(self) -> Told:
        """What is known by now."""
        self._take()
        return self.told

    def end_phase(self) -> Told:
        """What is told from now on is told of another phase; returns what was told of this one.

        A request belongs to the phase in which it ends.
        """
        self._take()
        ended, self.phase = self.phase, Told()
        return ended

    def wait_until_well(self, requests: int, seconds: float = SECONDS) -> None:
        """Return when so many requests in a row were answered well."""
        deadline = time.monotonic() + seconds
        while True:
            self.end_phase()
            self.wait_until(lambda: self.phase.ok >= requests or self.phase.failed > 0, "requests end")
            if self.phase.failed == 0:
                return
            assert time.monotonic() < deadline, f"still failing after {seconds} s: {self.phase}"

    def _take(self) -> None:
        slice_ = load_pb2.LoadSlice.FromString(self._generator.take())
        self.told.add(slice_)
        self.phase.add(slice_)
