"""Traces of Python's gRPC clients and servers, which join those of the sidecars and servers on their way.

OpenTelemetry does the work; here it is told what the rest of infermesh is told, by the same variables of the
environment. Needs ``infermesh[telemetry]``.
"""

import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from infermesh.errors import ConfigurationError
from infermesh.otlp.destination import Destination, Protocol, is_named
from infermesh.otlp.resource import resource

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

#: The end of the process waits no longer for a collector.
_FLUSH_MILLISECONDS = 5000


class Instrumented:
    """Clients and servers of this process are traced until this is closed."""

    def __init__(self, instrumentors: list[Any], flush: Callable[[], None]) -> None:
        self._instrumentors = instrumentors
        self._flush = flush

    def close(self) -> None:
        """Trace what is made from now on no more, and send what is left, for five seconds at most."""
        for instrumentor in self._instrumentors:
            instrumentor.uninstrument()
        self._instrumentors.clear()
        self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def instrument(
    service: str, *, endpoint: str | None = None, environment: Mapping[str, str] = os.environ
) -> Instrumented:
    """Trace every gRPC channel and server that is made from now on, plain and asyncio.

    A call gets the W3C context of the span around it, a server's span belongs to the caller's trace. Probes
    (``grpc.health.v1``) are left out. Spans go to ``endpoint``, the collector's URL for OTLP, or to the one
    that OpenTelemetry's variables name; without either, contexts pass and nothing is sent.
    ``OTEL_TRACES_SAMPLER`` decides about traces that begin here; a caller's decision is honoured.

    ``service`` is what the process is called where OTEL_SERVICE_NAME says nothing. An app that has set
    OpenTelemetry up itself keeps its own: then calls and requests are traced, and the rest is left to it.

    Raises ConfigurationError if a variable cannot be used, or the packages are not there.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.instrumentation import grpc as instrumentation
    except ImportError as error:
        raise ConfigurationError(
            f"instrument() finds no OpenTelemetry: {error}", hint='pip install "infermesh[telemetry]"'
        ) from error

    flush = _nothing
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        provider = _provider(service, endpoint, environment)
        trace.set_tracer_provider(provider)
        flush = _flush(provider)
    wanted = instrumentation.filters.negate(instrumentation.filters.health_check())
    instrumentors = [
        kind(filter_=wanted)
        for kind in (
            instrumentation.GrpcInstrumentorClient,
            instrumentation.GrpcInstrumentorServer,
            instrumentation.GrpcAioInstrumentorClient,
            instrumentation.GrpcAioInstrumentorServer,
        )
    ]
    for instrumentor in instrumentors:
        instrumentor.instrument()
    return Instrumented(instrumentors, flush)


def _provider(service: str, endpoint: str | None, environment: Mapping[str, str]) -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    attributes = resource(environment, {"service.name": service})
    provider = TracerProvider(resource=Resource.create(attributes))
    if endpoint is not None or is_named(environment):
        # Before clients are traced: this one is not to be.
        exporter = _exporter(Destination.of(environment, endpoint))
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporter(destination: Destination) -> "SpanExporter":
    """What else the environment says, such as headers and certificates, the exporters read themselves."""
    if destination.protocol is Protocol.GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

        return OverGrpc(destination.url, insecure=not destination.is_secure)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp

    return OverHttp(destination.url)


def _flush(provider: "TracerProvider") -> Callable[[], None]:
    def flush() -> None:
        provider.force_flush(_FLUSH_MILLISECONDS)

    return flush


def _nothing() -> None:
    """There is nothing of ours to send."""
