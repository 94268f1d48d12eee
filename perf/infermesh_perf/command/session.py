"""From options to a driver that measures levels: what `run`, `search` and the others begin with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf import machine
from infermesh_perf.analysis.slo import Objective
from infermesh_perf.command import values
from infermesh_perf.command.options import (
    InputOptions,
    MemoryKind,
    SendingOptions,
    ServerOptions,
    TargetOptions,
    TimeOptions,
)
from infermesh_perf.errors import SetupError
from infermesh_perf.hops import otlp_receiver
from infermesh_perf.hops.prometheus import Scraper
from infermesh_perf.hops.traces import Traces
from infermesh_perf.inputs.options import DataOptions
from infermesh_perf.inputs.request import RequestOptions
from infermesh_perf.inputs.workload import SequenceOptions, WorkloadOptions
from infermesh_perf.load import worker_address
from infermesh_perf.load.calibrate import ceiling
from infermesh_perf.load.level import Context
from infermesh_perf.load.levels import Driver
from infermesh_perf.load.observe import Observers
from infermesh_perf.load.pacing import Pacing
from infermesh_perf.load.plan import Sending
from infermesh_perf.load.prepared import Memory, ModelChoice, Prepared, prepared
from infermesh_perf.load.worker_tls import WorkerTls
from infermesh_perf.load.workers import Workers
from infermesh_perf.results.document import Certificate, Level, Run
from infermesh_perf.target.target import Target
from infermesh_perf.target.target import target as make_target
from infermesh_perf.target.tls import TlsFiles

METRICS_PORT = 8002


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
        sending = sending_of(options)
        target = target_of(options.target)
        found = stack.enter_context(
            prepared(
                target,
                choices_of(options),
                Memory(options.inputs.shared_memory.value, options.inputs.output_shared_memory_size),
                streaming=options.target.streaming,
                timeout=max(options.target.timeout, 1.0) if options.target.timeout else 60.0,
            )
        )
        observers = _observers(options.server, found, target, stack)
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
        driver = Driver(found, observers, sending, pacing_of(options.time), context)
        driver.sending_distribution = options.sending.distribution.value
        workers = _workers(options)
        if workers is not None:
            driver.make_engine = workers.engine
        try:
            yield Session(driver, tags)
        finally:
            driver.remarks += workers.remarks if workers else []


def _workers(options: Options) -> Workers | None:
    """Those that send in place of this process."""
    sending = options.sending
    tls = WorkerTls.read(sending.worker_cacert, sending.worker_cert, sending.worker_key)
    if not sending.workers:
        if tls is not None:
            raise SetupError("--worker-cacert and the like are without effect, expected --worker with them")
        return None
    if options.inputs.shared_memory is not MemoryKind.NONE:
        raise SetupError("--shared-memory is on this machine, and --worker on others: expected one of them")
    addresses = [worker_address.parse("--worker", text) for text in sending.workers]
    return Workers(addresses, tls)


def target_of(options: TargetOptions) -> Target:
    """Where requests go."""
    files = TlsFiles(
        options.cacert, options.cert, options.key, insecure=options.insecure, server_name=options.server_name
    )
    given = values.names_and_texts("--metadata", options.metadata)
    headers = [*options.header, *(f"{name}: {value}" for name, value in given.items())]
    return make_target(options.url, options.protocol.value if options.protocol else "", files, headers)


def choices_of(options: Options) -> list[ModelChoice]:
    """The models of the mix, each with what is sent to it."""
    inputs = options.inputs
    data = DataOptions(
        batch=inputs.batch,
        shapes=values.shapes(inputs.shape),
        data=inputs.input_data,
        string_length=inputs.string_length,
        string_data=inputs.string_data,
        seed=inputs.seed,
        payloads=inputs.payloads,
        validate=inputs.validate,
    )
    if inputs.tolerance < 0:
        raise SetupError(f"--tolerance: found {inputs.tolerance:g}, expected 0 or more")
    first, ids = values.id_range(inputs.sequence_id_range)
    sequences = SequenceOptions(
        length=inputs.sequence_length,
        variation=inputs.sequence_length_variation / 100,
        first_id=first,
        ids=ids,
        concurrent=inputs.num_of_sequences,
    )
    request = RequestOptions(
        outputs=tuple(inputs.request_output),
        binary=not inputs.json_tensors,
        streaming=options.target.streaming,
    )
    if not options.target.model:
        raise SetupError(
            "no model is named", hint="-m NAME; the server's log, or its repository index, has them"
        )
    chosen = [values.model(text, options.target.version) for text in options.target.model]
    return [
        ModelChoice(
            name,
            number,
            data,
            WorkloadOptions(
                name=f"{name}:{number}" if number else name,
                weight=weight,
                request=request,
                sequences=sequences,
                absolute=inputs.tolerance,
                relative=inputs.tolerance,
            ),
        )
        for name, number, weight in chosen
    ]


def sending_of(options: Options) -> Sending:
    """How the generator sends."""
    sending = options.sending
    for name, value in (("--connections", sending.connections), ("--threads", sending.threads)):
        if value < 0:
            raise SetupError(f"{name}: found {value}, expected 0 or more")
    if sending.max_outstanding < 1:
        raise SetupError(f"--max-outstanding: found {sending.max_outstanding}, expected 1 or more")
    if not 0 <= options.server.trace_share <= 1:
        raise SetupError(f"--trace-share: found {options.server.trace_share:g}, expected 0 to 1")
    if options.target.timeout < 0:
        raise SetupError(f"--timeout: found {options.target.timeout:g}, expected 0 or more seconds")
    return Sending(
        threads=sending.threads or max(cores() // 2, 1),
        connections=sending.connections,
        timeout_seconds=options.target.timeout,
        max_outstanding=sending.max_outstanding,
        seed=options.inputs.seed,
        records=options.records,
        trace_share=options.server.trace_share,
        gaps_ns=options.gaps_ns,
    )


def pacing_of(options: TimeOptions) -> Pacing:
    """How long levels take."""
    rules = (
        ("-p", options.measurement_interval, options.measurement_interval >= 50, "50 ms or more"),
        ("-s", options.stability_percentage, options.stability_percentage > 0, "more than 0 %"),
        ("-r", options.max_trials, options.max_trials >= 3, "3 or more, as so many windows must agree"),
        ("-n", options.request_count, options.request_count >= 0, "0 or more"),
        (
            "--abort-after-late",
            options.abort_after_late or 1,
            (options.abort_after_late or 1) > 0,
            "above 0 ms",
        ),
        ("--warm-up", options.warm_up, options.warm_up >= 0, "0 or more seconds"),
        (
            "--warmup-request-count",
            options.warmup_request_count,
            options.warmup_request_count >= 0,
            "0 or more",
        ),
        (
            "--percentile",
            options.percentile or 50,
            0 < (options.percentile or 50) <= 100,
            "above 0, up to 100",
        ),
    )
    for name, found, good, expected in rules:
        if not good:
            raise SetupError(f"{name}: found {found:g}, expected {expected}")
    return Pacing(
        window_seconds=options.measurement_interval / 1e3,
        trials=options.max_trials,
        stability_percent=options.stability_percentage,
        percentile=options.percentile,
        warm_up_seconds=options.warm_up,
        warm_up_requests=options.warmup_request_count,
        seconds=values.duration("-z", options.duration),
        requests=options.request_count or None,
        abort_seconds=None if options.abort_after_late is None else options.abort_after_late / 1e3,
    )


def _observers(options: ServerOptions, found: Prepared, target: Target, stack: ExitStack) -> Observers:
    scraper = None
    if options.collect_metrics or options.metrics_url:
        host = target.address.host if not target.address.path else "localhost"
        host = f"[{host}]" if ":" in host else host
        url = options.metrics_url or f"http://{host}:{METRICS_PORT}/metrics"
        scraper = stack.enter_context(Scraper(url, options.metrics_interval / 1e3))
    traces = None
    if options.otlp_port is not None:
        if not options.trace_share:
            raise SetupError("--otlp-port is without effect, expected --trace-share above 0 with it")
        traces = Traces()
        stack.enter_context(otlp_receiver.receiving(traces.take, http_port=options.otlp_port))
    return Observers(found.api, found.models, scraper, traces)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def command_line() -> list[str]:
    """As it was typed, without the folder that the program lies in."""
    return [os.path.basename(sys.argv[0]), *sys.argv[1:]]


def environment(sending: Sending) -> dict[str, Any]:
    """What it was measured with."""
    return {
        **machine.describe(),
        "infermesh": version("infermesh-perf"),
        "load_average": round(machine.load_average(), 2),
        "threads": sending.threads,
        "connections": sending.connections or sending.threads,
        "seed": sending.seed,
    }


def is_streaming(target: load_pb2.Target) -> bool:
    """Whether requests travel over streams."""
    return target.protocol == load_pb2.PROTOCOL_GRPC_STREAM
