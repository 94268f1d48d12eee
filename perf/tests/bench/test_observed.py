import urllib.request
from pathlib import Path

from infermesh_perf.bench import collector, observed
from infermesh_perf.processes import Command
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def test_the_collector_counts_spans() -> None:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for name in ("a", "b", "c"):
        scope.spans.add().name = name
    with collector.collecting() as port:
        assert collector.received(port) == 0
        url = f"http://127.0.0.1:{port}{collector.PATH}"
        for _ in range(2):
            with urllib.request.urlopen(url, request.SerializeToString(), timeout=10) as answer:
                assert answer.status == 200
        assert collector.received(port) == 6


def test_the_observed_server_is_the_same_but_for_being_observed() -> None:
    plain = Command(("infermesh", "serve", "r", "--grpc-port", "1", "--no-metrics"), "m", 1, Path("s.log"))
    command = observed._observed(plain, metrics=7, sink=8, rate=100)
    assert "--no-metrics" not in command.arguments
    assert command.arguments[:4] == plain.arguments[:4]
    assert command.arguments[4] == str(command.grpc_port) != "1"
    assert command.arguments[command.arguments.index("--metrics-port") + 1] == "7"
    assert "rate=100" in command.arguments
    assert command.log != plain.log
