"""One level after the other on a prepared target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.errors import RunError
from infermesh_perf.load.engine import Engine, LocalEngine
from infermesh_perf.load.level import Context, level
from infermesh_perf.load.measure import Measurement, Watch, carry_out
from infermesh_perf.load.observe import Observers
from infermesh_perf.load.pacing import Pacing
from infermesh_perf.load.plan import Sending, plan
from infermesh_perf.load.prepared import Prepared
from infermesh_perf.results.document import Level, Load
from infermesh_perf.results.profile_export import Experiment

MakeEngine = Callable[[load_pb2.LoadPlan], Engine]


@dataclass
class Driver:
    """Measures levels, and keeps what a run has to say beside them."""

    prepared: Prepared
    observers: Observers
    sending: Sending
    pacing: Pacing
    context: Context
    make_engine: MakeEngine = LocalEngine
    #: How requests of a rate follow each other.
    sending_distribution: Literal["constant", "poisson"] = "poisson"
    #: Sentences for people, each once.
    remarks: list[str] = field(default_factory=list)
    #: Requests one by one, where the plan asks for them.
    experiments: list[Experiment] = field(default_factory=list)
    cut_short: str = ""

    def run(self, load: Load, watch: Watch, pacing: Pacing | None = None) -> Level:
        """One level; afterwards `cut_short` says if it was the last. RunError if nothing was measured."""
        pacing = pacing or self.pacing
        engine = self.make_engine(
            plan(self.prepared.target, self.prepared.workloads, load, self.sending, pacing.requests)
        )
        found = carry_out(
            engine,
            len(self.prepared.workloads),
            pacing,
            watch,
            begin=self.observers.begin,
            end=self.observers.end,
        )
        return self._told(load, found)

    def _told(self, load: Load, found: Measurement) -> Level:
        self.cut_short = found.cut_short
        traced = [record.trace_id.hex() for _, record in found.totals.slowest if record.trace_id]
        seen = self.observers.result(traced)
        self.remarks = list(dict.fromkeys([*self.remarks, *seen.remarks]))
        if self.sending.records:
            records = [record for _, record in found.totals.records]
            self.experiments.append(Experiment(load, found.started_unix_ns, records))
        hops = self.observers.hops(found.totals.all, seen)
        return level(load, found, seen, hops, self.context)


def cut_short_by(error: RunError | KeyboardInterrupt, load: Load) -> str:
    """Why a run ends with a load of which nothing was measured."""
    return "interrupted" if isinstance(error, KeyboardInterrupt) else f"{load}: {error}"


class Viewer(Protocol):
    """Whoever looks on."""

    def watch(self, position: int, load: Load) -> Watch:
        """A level begins."""
        ...

    def done(self, level: Level) -> None:
        """It has ended."""


def sweep(
    driver: Driver, loads: Sequence[Load], viewer: Viewer, enough: Callable[[Level], bool] = lambda _: False
) -> list[Level]:
    """All loads in their order; fewer if the run is cut short or a level is `enough`.

    Raises RunError, or KeyboardInterrupt, if not even one level was measured.
    """
    levels: list[Level] = []
    for position, load in enumerate(loads):
        try:
            levels.append(driver.run(load, viewer.watch(position, load)))
        except (RunError, KeyboardInterrupt) as error:
            if not levels:
                raise
            # What was found by then is kept.
            driver.cut_short = cut_short_by(error, load)
            break
        viewer.done(levels[-1])
        if driver.cut_short or enough(levels[-1]):
            break
    return levels
