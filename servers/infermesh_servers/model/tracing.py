"""Which inferences are recorded, and their way to a collector."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from infermesh.otlp.exporter import Exporter, Source
from infermesh.telemetry.export import export
from infermesh.telemetry.trace_config import TraceConfig


class Server(Source, Protocol):
    """The part of ``infermesh_native.Server`` that records; see there."""

    def start_traces(
        self,
        *,
        on: bool,
        rate: int,
        count: int,
        resource: Sequence[tuple[str, str]],
        shown: Sequence[tuple[str, str]],
        queue: int,
        batch: int,
        delay: float,
    ) -> None:
        """Say which inferences are traced, until a client changes it."""


def start(server: Server, config: TraceConfig, resource: Mapping[str, str]) -> Exporter:
    """Record what the configuration says, and send it; clients may turn tracing on and off later."""
    server.start_traces(
        on=config.on,
        rate=config.rate,
        count=config.count,
        resource=list(resource.items()),
        shown=list(config.shown().items()),
        queue=config.queue,
        batch=config.batch,
        delay=config.delay_ms / 1000,
    )
    return export(server, config.destination)
