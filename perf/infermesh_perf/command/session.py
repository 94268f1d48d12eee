"""From options to a driver that measures levels: what `run`, `search` and the others begin with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from infermesh_perf.analysis.slo import Objective
from infermesh_perf.command.options import (
    InputOptions,
    SendingOptions,
    ServerOptions,
    TargetOptions,
    TimeOptions,
)
from infermesh_perf.command.options_to_models import choices_of
from infermesh_perf.command.options_to_observers import observers_of
from infermesh_perf.command.options_to_pacing import pacing_of
from infermesh_perf.command.options_to_sending import sending_of
from infermesh_perf.command.options_to_target import target_of
from infermesh_perf.command.options_to_workers import workers_of
from infermesh_perf.command.provenance import command_line, environment
from infermesh_perf.load.calibrate import ceiling
from infermesh_perf.load.level import Context
from infermesh_perf.load.levels import Driver
from infermesh_perf.load.prepared import Memory, prepared
from infermesh_perf.results.document import Certificate, Level, Run


@dataclass(frozen=True)
class Options:
    """The groups that every measuring command has."""

    target: TargetOptions
    inputs: InputOptions
    sending: SendingOptions
    time: TimeOptions
    server: ServerOptions
    #: Of recorded intervals, nanoseconds.
    gaps_ns: tuple[int, ...] = ()
    records: int = 0
    confidence: float = 0.99


@dataclass
class Session:
    """A driver and what a result says beside its levels."""

    driver: Driver
    tags: dict[str, str] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def document(
        self,
        levels: list[Level],
        kind: str = "run",
        *,
        certificate: Certificate | None = None,
        scenario: str = "",
    ) -> Run:
        """The result so far."""
        driver = self.driver
        objective = driver.context.objective
        return Run.model_validate(
            {
                "kind": kind,
                "command": command_line(),
                "started": self.started,
                "seconds": (datetime.now(UTC) - self.started).total_seconds(),
                "tags": self.tags,
                "environment": environment(driver.sending),
                "target": driver.prepared.summary(),
                "workloads": list(driver.prepared.summaries),
                "objective": objective.text if objective else "",
                "levels": levels,
                "certificate": certificate,
                "scenario": scenario,
                "cut_short": driver.cut_short,
            }
        )


@contextmanager
def session(options: Options, objective: Objective | None, tags: dict[str, str]) -> Iterator[Session]:
    """A target that is reached, with what is sent to it made ready."""
    with ExitStack() as stack:
        sending = sending_of(
            options.target,
            options.sending,
            options.server,
            seed=options.inputs.seed,
            records=options.records,
            gaps_ns=options.gaps_ns,
        )
        pacing, workers = pacing_of(options.time), workers_of(options.sending, options.inputs.shared_memory)
        found = stack.enter_context(
            prepared(
                target_of(options.target),
                choices_of(options.target, options.inputs),
                Memory(options.inputs.shared_memory.value, options.inputs.output_shared_memory_size),
                streaming=options.target.streaming,
                timeout=max(options.target.timeout, 1.0) if options.target.timeout else 60.0,
            )
        )
        observers = observers_of(options.server, found, stack)
        most = None
        if not options.server.no_calibration and not options.sending.workers:
            most = ceiling(found.workloads, found.target.protocol, found.answer, sending)
        context = Context(
            names=found.names,
            batches=found.batches,
            objective=objective,
            max_outstanding=sending.max_outstanding,
            ceiling=most,
            confidence=options.confidence,
        )
        driver = Driver(found, observers, sending, pacing, context)
        driver.sending_distribution = options.sending.distribution.value
        if workers is not None:
            driver.make_engine = workers.engine
        try:
            yield Session(driver, tags)
        finally:
            driver.remarks += workers.remarks if workers else []
