"""The workers of a whole run, from which each level gets its engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.errors import SetupError
from infermesh_perf.load.division import usable
from infermesh_perf.load.remote_engine import RemoteEngine
from infermesh_perf.load.worker_address import WorkerAddress
from infermesh_perf.load.worker_greeting import Greeting
from infermesh_perf.load.worker_tls import WorkerTls


@dataclass
class Workers:
    """Machines that send together. Slices are `slice_seconds` long: those of the run's pacing."""

    addresses: Sequence[WorkerAddress]
    tls: WorkerTls | None = None
    slice_seconds: float = 0.25
    #: What each was when it took part last; of its clock, what was known least well.
    seen: dict[WorkerAddress, Greeting] = field(default_factory=dict)
    _remarks: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises SetupError for none, or for one that stands twice."""
        if not self.addresses:
            raise SetupError("found no worker, expected the address of one at least")
        if len(set(self.addresses)) != len(self.addresses):
            raise SetupError("found a worker twice, expected each once: a worker has one run at a time")

    def engine(self, plan: load_pb2.LoadPlan) -> RemoteEngine:
        """For one level. Takes as many workers as have something to do, and remarks on the others."""
        count, reason = usable(plan, len(self.addresses))
        if reason:
            self._remarks[f"{count} of {len(self.addresses)} workers took part: {reason}"] = None
        return RemoteEngine(plan, self.addresses[:count], self.tls, self.slice_seconds, self._note)

    @property
    def remarks(self) -> list[str]:
        """Sentences for people: who took part, how well the clocks are known, and who had nothing to do."""
        named = ", ".join(f"{it.address} ({it.host}, {it.cores} cores)" for it in self.seen.values())
        errors = [it.clock.error_ns for it in self.seen.values()]
        sent = [f"sent by {named}; their clocks are known to {max(errors) / 1e6:.2f} ms"] if errors else []
        return [*sent, *self._remarks]

    def _note(self, greeting: Greeting) -> None:
        before = self.seen.get(greeting.address)
        if before is None or before.clock.error_ns < greeting.clock.error_ns:
            self.seen[greeting.address] = greeting
