"""A client and a server in Python, and a proxy between them: one trace. Each is a process of its own, because
what traces them changes grpc for all that is in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from infermesh.otlp.destination import Destination
from infermesh.telemetry.export import export
from support.collector import CLIENT, SECONDS, SERVER, Collector, Span, collecting
from support.native_proxy import proxying

METHOD = "/inference.GRPCInferenceService/ModelInfer"

SERVE = """
import sys
from infermesh.telemetry.instrument import instrument
from support.recording_server import recording

with instrument("model"), recording() as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""

CALL = """
import sys
import grpc
from infermesh.telemetry.instrument import instrument
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from infermesh.proto.grpc_health_v1 import health_pb2, health_pb2_grpc
from opentelemetry import trace

with instrument("shop"), grpc.insecure_channel(sys.argv[1]) as channel:
    with trace.get_tracer("test").start_as_current_span("order"):
        GRPCInferenceServiceStub(channel).ModelInfer(pb.ModelInferRequest(model_name="m"), timeout=20)
    try:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    except grpc.RpcError:
        pass
"""

#: An app that has set OpenTelemetry up itself; and one that has no collector.
OWN = """
import asyncio
import sys
import grpc
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from infermesh.telemetry.instrument import instrument
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub

own, kept = TracerProvider(), InMemorySpanExporter()
own.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(own)

async def call():
    async with grpc.aio.insecure_channel(sys.argv[1]) as channel:
        await GRPCInferenceServiceStub(channel).ModelInfer(pb.ModelInferRequest(model_name="m"), timeout=20)

with instrument("shop"):
    asyncio.run(call())
    assert trace.get_tracer_provider() is own
asyncio.run(call())
print([span.name for span in kept.get_finished_spans()])
"""


def run(script: str, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables},
    )


@contextmanager
def serving(**variables: str) -> Iterator[int]:
    """A server in Python; its port. At the end all of its spans are sent."""
    with run(SERVE, **variables) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
            process.communicate(timeout=SECONDS)
            assert process.returncode == 0
        finally:
            process.kill()


def call(script: str, target: str, **variables: str) -> str:
    with run(script, target, **variables) as process:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return out


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_trace_goes_from_a_client_through_a_proxy_to_a_server(protocol: str) -> None:
    with collecting() as collector:
        url = collector.grpc_url if protocol == "grpc" else f"http://127.0.0.1:{collector.http_port}"
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        with serving(**variables) as port, through_a_proxy(port, collector) as target:
            call(CALL, target, **variables)
        # The proxy's own span of a probe is the fifth: nobody told it of a trace.
        spans = collector.wait_for(5)
    assert [span.resource["service.name"] for span in spans if "Health" in span.name] == ["sidecar"]
    order = one(spans, "shop", "order")
    spans = [span for span in spans if span.trace == order.trace]
    assert len(spans) == 4, spans
    client = below(spans, order, "shop", CLIENT)
    attempt = below(spans, client, "sidecar", CLIENT)
    below(spans, attempt, "model", SERVER)
    assert client.name.strip("/") == METHOD.strip("/")
    assert all(span.resource["service.instance.id"] for span in spans)


def test_an_app_keeps_what_it_has_set_up() -> None:
    with serving() as port:
        assert call(OWN, f"127.0.0.1:{port}") == f"{[METHOD]}\n"


def test_what_is_missing_is_named() -> None:
    script = """
import sys
sys.modules["opentelemetry.instrumentation"] = None
from infermesh.errors import ConfigurationError
from infermesh.telemetry.instrument import instrument
try:
    instrument("shop")
except ConfigurationError as error:
    print(error.hint)
"""
    assert call(script, "") == 'pip install "infermesh[telemetry]"\n'


@contextmanager
def through_a_proxy(port: int, collector: Collector) -> Iterator[str]:
    """The address of a proxy before a server, which sends its own spans to the collector."""
    text = f"""
services: {{m: {{endpoints: "127.0.0.1:{port}", transcode: false}}}}
outbound: {{listen: "127.0.0.1:0", service: m}}
"""
    with proxying(text) as running:
        running.proxy.start_traces(
            1.0, [("service.name", "sidecar"), ("service.instance.id", "1")], 100, 10, 0.1
        )
        exporter = export(running.proxy, Destination.of({}, collector.http_url))
        try:
            yield f"127.0.0.1:{running.ports['outbound']}"
        finally:
            exporter.stop(SECONDS)


def one(spans: list[Span], service: str, name: str) -> Span:
    (found,) = (it for it in spans if (it.resource["service.name"], it.name) == (service, name))
    return found


def below(spans: list[Span], parent: Span, service: str, kind: int) -> Span:
    """The only span below another one."""
    (found,) = (it for it in spans if it.parent == parent.id)
    assert (found.resource["service.name"], found.kind) == (service, kind)
    return found
