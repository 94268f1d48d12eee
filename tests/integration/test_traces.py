"""Traces: W3C context in, OTLP out, through a collector that decodes what it gets."""

from collections import Counter
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import Client, floats, ints, outputs, refused, request
from support.collector import SERVER, Collector, Span, collecting
from support.ensembles import chain, put_ensemble
from support.gate import Gate
from support.python_models import EACH, GATED, MOODY, TALKATIVE
from support.repository import Repository
from support.rest import HTTP, Rest, json_request
from support.server import Serve, Server

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"

GRPC_SPAN = "inference.GRPCInferenceService/ModelInfer"
STREAM_SPAN = "inference.GRPCInferenceService/ModelStreamInfer"
REST_SPAN = "POST /v2/models/{model}/infer"

#: Spans are sent as soon as they are there.
AT_ONCE = ("--trace-config", "opentelemetry,bsp_schedule_delay=0")
ON = ("--trace-config", "level=TIMESTAMPS", *AT_ONCE)


def context(*, sampled: bool, trace: str = TRACE) -> str:
    """A traceparent."""
    return f"00-{trace}-{PARENT}-{'01' if sampled else '00'}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """To be asked for before the server, so that it is there until the server has ended."""
    with collecting() as collector:
        yield collector


def traced(serve: Serve, collector: Collector, *options: str) -> Server:
    """A server that traces what its callers trace, and sends it to the collector."""
    server = serve(
        *(*ON, "--trace-config", "rate=0", "--trace-config", f"opentelemetry,url={collector.http_url}"),
        *options,
    )
    server.wait_ready()
    return server


def infer(client: Client, message: pb.ModelInferRequest, **metadata: str) -> grpc.Call:
    _, call = client.inference.ModelInfer.with_call(message, timeout=20, metadata=tuple(metadata.items()))
    assert isinstance(call, grpc.Call)
    return call


def test_a_request_of_a_trace(collector: Collector, serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    server = traced(serve, collector, "--trace-config", "opentelemetry,resource=service.name=scales")
    with Client(server.target) as client:
        message = request("scale", id_="seven", x=floats(3, 4))
        infer(client, message, traceparent=context(sampled=True), tracestate="vendor=1")
    spans = collector.trace(TRACE)
    assert set(spans) == {GRPC_SPAN, "queue", "compute"}
    outer, queue, compute = spans[GRPC_SPAN], spans["queue"], spans["compute"]
    assert (outer.parent, outer.kind, outer.failed) == (PARENT, SERVER, False)
    assert (outer.state, outer.flags) == ("vendor=1", 0x301)
    assert queue.parent == compute.parent == outer.id
    assert len({outer.id, queue.id, compute.id, PARENT}) == 4
    assert outer.start <= queue.start <= queue.end == compute.start <= compute.end <= outer.end
    assert (
        compute.start <= compute.events["inputs gathered"] <= compute.events["model executed"] <= compute.end
    )
    assert outer.attributes == {
        "rpc.system": "grpc",
        "rpc.service": "inference.GRPCInferenceService",
        "rpc.method": "ModelInfer",
        "rpc.grpc.status_code": 0,
        "infermesh.model.name": "scale",
        "infermesh.model.version": "1",
        "infermesh.request.id": "seven",
    }
    assert compute.attributes == {"infermesh.batch.rows": 3, "infermesh.batch.requests": 1}
    assert outer.resource["service.name"] == "scales"
    assert outer.resource["process.pid"] == str(server.pid)


def test_over_http(collector: Collector, serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    server = traced(serve, collector, *HTTP)
    with Rest(server.http_port) as rest:
        body = json_request("FP32", [1, 4], [1, 2, 3, 4], id="eight")
        path = "/v2/models/scale/infer"
        assert rest.post(path, body, {"traceparent": context(sampled=True)}).status == 200
    spans = collector.trace(TRACE)
    outer = spans[REST_SPAN]
    assert (outer.parent, outer.kind) == (PARENT, SERVER)
    assert spans["queue"].parent == spans["compute"].parent == outer.id
    assert outer.attributes["http.response.status_code"] == 200
    assert outer.attributes["url.path"] == path
    assert outer.attributes["infermesh.request.id"] == "eight"


def test_each_request_of_a_stream_is_a_span(
    collector: Collector, serve: Serve, repository: Repository
) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    server = traced(serve, collector)
    with Client(server.target) as client:
        messages = [request("scale", id_=str(index), x=floats(1, 4)) for index in range(3)]
        answers = list(client.stream(messages, traceparent=context(sampled=True)))
        assert len(answers) == 3
    spans = [span for span in collector.wait_for(9) if span.name == STREAM_SPAN]
    assert {(span.trace, span.parent) for span in spans} == {(TRACE, PARENT)}
    assert {span.attributes["infermesh.request.id"] for span in spans} == {"0", "1", "2"}


def test_a_decoupled_model(collector: Collector, serve: Serve, repository: Repository) -> None:
    repository.python("each", EACH)
    server = traced(serve, collector)
    with Client(server.target) as client:
        answers = list(client.stream([request("each", x=ints([3, 1, 4]))], traceparent=context(sampled=True)))
        assert len(answers) == 3
    spans = collector.trace(TRACE)
    assert set(spans) == {STREAM_SPAN, "queue", "compute"}
    assert spans["compute"].end <= spans[STREAM_SPAN].end


def test_tritonclient_passes_context_on(collector: Collector, serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    server = traced(serve, collector)
    tensor = triton.InferInput("x", [1, 4], "FP32")
    tensor.set_data_from_numpy(floats(1, 4))
    with triton.InferenceServerClient(server.target) as client:
        client.infer("scale", [tensor], headers={"traceparent": context(sampled=True)})
    assert collector.trace(TRACE)[GRPC_SPAN].parent == PARENT


def test_the_sampled_flag_is_honoured(collector: Collector, serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    server = traced(serve, collector, "--trace-config", "rate=1")
    with Client(server.target) as client:
        for _ in range(3):
            infer(client, request("scale", x=floats(1, 4)), traceparent=context(sampled=False))
        infer(client, request("scale", x=floats(1, 4)), traceparent="nonsense")
    # Everything else would have been sent before.
    spans = collector.wait_for(3)
    (outer,) = [span for span in spans if span.name == GRPC_SPAN]
    assert len(spans) == 3
    assert (outer.trace != TRACE, outer.parent) == (True, "")


def test_one_of_so_many_begins_a_trace(collector: Collector, serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    server = traced(serve, collector, "--trace-config", "rate=4", "--trace-config", "count=2")
    with Client(server.target) as client:
        for _ in range(20):
            infer(client, request("scale", x=floats(1, 4)))
        infer(client, request("scale", x=floats(1, 4)), traceparent=context(sampled=True))
    collector.trace(TRACE)
    own = [span for span in collector.spans if span.trace != TRACE]
    assert len({span.trace for span in own}) == 2
    assert len(own) == 6


def test_what_fails_is_traced(collector: Collector, serve: Serve, repository: Repository) -> None:
    repository.python("moody", MOODY)
    server = traced(serve, collector)
    with Client(server.target) as client:
        metadata = (("traceparent", context(sampled=True)),)
        cases = (
            ("moody", ints([1]), grpc.StatusCode.INTERNAL),
            ("absent", ints([1]), grpc.StatusCode.NOT_FOUND),
        )
        for model, x, code in cases:
            with refused(code):
                client.inference.ModelInfer(request(model, x=x), timeout=20, metadata=metadata)
    failed, unknown = sorted(collector.wait_for(2), key=lambda span: span.start)
    assert (failed.failed, failed.attributes["error.type"]) == (True, "INTERNAL")
    assert failed.attributes["rpc.grpc.status_code"] == 13
    # The caller's own mistake is no failure of the server.
    assert (unknown.failed, unknown.attributes["rpc.grpc.status_code"]) == (False, 5)
    record = server.wait_for("inference-failed")
    assert (record["trace.id"], record["span.id"]) == (TRACE, failed.id)


def test_the_steps_of_ensembles(collector: Collector, serve: Serve, repository: Repository) -> None:
    repository.onnx("double", onnx_models.scale(2.0))
    repository.onnx("triple", onnx_models.scale(3.0))
    put_ensemble(repository, "sixfold", chain("double", "triple"))
    put_ensemble(repository, "twelvefold", chain("sixfold", "double"))
    server = traced(serve, collector)
    with Client(server.target) as client:
        infer(client, request("twelvefold", x=floats(1, 4)), traceparent=context(sampled=True))
    # The request; a step that is an ensemble; three that are models, each with its queue and compute.
    spans = {span.id: span for span in collector.wait_for(11)}
    assert {span.trace for span in spans.values()} == {TRACE}

    def path(span: Span) -> str:
        outer = spans.get(span.parent)
        own = span.attributes.get("infermesh.model.name", span.name)
        return own if outer is None else f"{path(outer)}/{own}"

    models = {
        "twelvefold/sixfold": 1,
        "twelvefold/sixfold/double": 1,
        "twelvefold/sixfold/triple": 1,
        "twelvefold/double": 1,
    }
    leaves = {f"{model}/{part}": 1 for model in list(models)[1:] for part in ("queue", "compute")}
    assert Counter(map(path, spans.values())) == {"twelvefold": 1, **models, **leaves}
    for span in spans.values():
        if (outer := spans.get(span.parent)) is not None:
            assert outer.start <= span.start <= span.end <= outer.end


def test_what_a_model_logs_names_its_trace(
    collector: Collector, serve: Serve, repository: Repository
) -> None:
    repository.python(
        "talkative", TALKATIVE, config="dynamic_batching { max_queue_delay_microseconds: 10000000 }"
    )
    server = traced(serve, collector)
    other = TRACE[::-1]
    with Client(server.target) as client:
        for traces in ((), (TRACE,), (TRACE, other)):
            # The last one fills the batch.
            last = 8 - len(traces)
            calls = [
                client.inference.ModelInfer.future(
                    request("talkative", x=ints([index])),
                    timeout=20,
                    metadata=(("traceparent", context(sampled=True, trace=trace)),),
                )
                for index, trace in enumerate(traces)
            ]
            client.fence()
            client.infer(request("talkative", x=ints(*([row] for row in range(last)))))
            for call in calls:
                call.result()
    none, one, two = (record for record in server.records if record.get("event.action") == "mine")
    assert not {"trace.id", "trace.ids"} & set(none)
    assert one["trace.id"] == TRACE
    assert two["trace.ids"] == [TRACE, other]


def test_a_fault_in_onnx_runtime_is_logged(
    collector: Collector, serve: Serve, repository: Repository
) -> None:
    repository.onnx("table", onnx_models.refuses_zero())
    server = traced(serve, collector)
    with Client(server.target) as client:
        client.infer(request("table", x=np.array([[-1]])))
        metadata = (("traceparent", context(sampled=True)),)
        with refused(grpc.StatusCode.INTERNAL):
            client.inference.ModelInfer(request("table", x=np.array([[0]])), timeout=20, metadata=metadata)
    record = server.wait_for("inference-failed")
    assert (record["log.level"], record["log.logger"]) == ("error", "infermesh.native")
    assert (record["infermesh.model.name"], record["infermesh.model.version"]) == ("table", "1")
    assert record["trace.id"] == TRACE
    assert "Gather" in record["message"]


def test_a_request_that_was_given_up(
    collector: Collector, serve: Serve, repository: Repository, gate: Gate
) -> None:
    repository.python("gated", GATED, config=gate.config)
    server = traced(serve, collector)
    with Client(server.target) as client:
        metadata = (("traceparent", context(sampled=True)),)
        call = client.inference.ModelInfer.future(
            request("gated", x=ints([1])), timeout=20, metadata=metadata
        )
        gate.next_batch()
        call.cancel()
        (span,) = collector.wait_for(1)
        assert span.attributes["error.type"] == "CANCELLED"
        gate.open()


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_standard_environment(
    collector: Collector,
    serve: Serve,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    compression: str,
) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    port = collector.grpc_port if protocol == "grpc" else collector.http_port
    environment = {
        "EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "EXPORTER_OTLP_PROTOCOL": protocol,
        "EXPORTER_OTLP_HEADERS": "api-key=a%20b",
        "EXPORTER_OTLP_COMPRESSION": compression,
        "SERVICE_NAME": "from-outside",
        "RESOURCE_ATTRIBUTES": "deployment.environment=test",
        "TRACES_SAMPLER": "parentbased_traceidratio",
        "TRACES_SAMPLER_ARG": "0.5",
        "BSP_SCHEDULE_DELAY": "0",
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"OTEL_{name}", value)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        for _ in range(4):
            infer(client, request("scale", x=floats(1, 4)))
    spans = collector.wait_for(6)
    assert len({span.trace for span in spans}) == 2
    assert spans[0].resource["service.name"] == "from-outside"
    assert spans[0].resource["deployment.environment"] == "test"
    assert {name.lower(): value for name, value in collector.headers[0].items()}["api-key"] == "a b"
    assert server.records[0]["service.name"] == "from-outside"


def test_a_collector_that_is_away_for_a_while(
    collector: Collector, serve: Serve, repository: Repository
) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    collector.refuse_http = 503
    server = traced(serve, collector, *HTTP)
    with Client(server.target) as client:
        infer(client, request("scale", x=floats(1, 4)), traceparent=context(sampled=True))
        collector.wait_refused()
        assert "503" in server.wait_for("trace-export-failed")["message"]
        collector.refuse_http = None
        assert len(collector.trace(TRACE)) == 3
        server.wait_for("trace-export-recovered")


def test_what_nobody_takes_is_lost_and_counted(
    collector: Collector, serve: Serve, repository: Repository
) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    collector.refuse_http = 400
    server = traced(serve, collector, *HTTP)
    with Client(server.target) as client:
        for _ in range(3):
            infer(client, request("scale", x=floats(1, 4)), traceparent=context(sampled=True))
        collector.wait_refused()
        server.wait_for("trace-export-failed")
        (y,) = outputs(client.infer(request("scale", x=floats(1, 4)))).values()
        assert y.shape == (1, 4)


def test_the_last_spans_leave_before_the_process(
    collector: Collector, serve: Serve, repository: Repository
) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    server = traced(serve, collector, "--trace-config", "opentelemetry,bsp_schedule_delay=3600000")
    with Client(server.target) as client:
        infer(client, request("scale", x=floats(1, 4)), traceparent=context(sampled=True))
    assert server.stop() == 0
    assert len(collector.spans) == 3


def test_no_collector_delays_the_end(collector: Collector, serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    collector.refuse_http = 503
    server = traced(serve, collector)
    with Client(server.target) as client:
        infer(client, request("scale", x=floats(1, 4)), traceparent=context(sampled=True))
        collector.wait_refused()
    assert server.stop() == 0
    assert collector.spans == []
