"""Spans by hand, in the form that OTLP has them."""

import pytest
from infermesh_perf.hops.server_times import ServerTimes
from infermesh_perf.hops.traces import Traces
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

TRACE = bytes(range(16))
CLIENTS = b"client.."
INTERNAL, SERVER, CLIENT = Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT


def _span(
    name: str,
    parent: bytes,
    start: int,
    end: int,
    kind: Span.SpanKind.ValueType = INTERNAL,
    trace: bytes = TRACE,
) -> Span:
    return Span(
        trace_id=trace,
        span_id=f"{name:8.8}".encode(),
        parent_span_id=parent,
        name=name,
        kind=kind,
        start_time_unix_nano=start,
        end_time_unix_nano=end,
    )


def _server(parent: bytes = CLIENTS, trace: bytes = TRACE, at: int = 1000) -> list[Span]:
    """A request of 100 ns: 10 in the queue, then 5, 40 and 5 in three stages of 50."""
    outer = _span("infer", parent, at, at + 100, SERVER, trace)
    compute = _span("compute", outer.span_id, at + 30, at + 80, trace=trace)
    compute.events.add(name="inputs gathered", time_unix_nano=at + 35)
    compute.events.add(name="model executed", time_unix_nano=at + 75)
    return [outer, _span("queue", outer.span_id, at + 20, at + 30, trace=trace), compute]


def _message(*spans: Span) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])


def _traces(*spans: Span) -> Traces:
    traces = Traces()
    traces.take(_message(*spans))
    return traces


def test_stages_of_a_request_whatever_the_order_of_its_spans() -> None:
    traces = Traces()
    for span in reversed(_server()):
        traces.take(_message(span))
    found = traces.result()

    stages = found.requests[TRACE.hex()]
    assert stages.by_name() == {"queue": 10, "input": 5, "compute": 40, "output": 5, "server": 40}
    assert found.times == ServerTimes("traces", 1, 100, 10, 5, 40, 5)
    assert (found.sidecar_mean_ns, found.spans, found.dropped) == (None, 3, 0)


def test_means_are_over_all_requests() -> None:
    longer = _server(trace=b"another trace...", at=5000)
    longer[0].end_time_unix_nano += 100
    found = _traces(*_server(), *longer).result()
    assert found.times is not None
    assert (found.times.requests, found.times.total_ns, found.times.compute_ns) == (2, 150, 40)


def test_a_trace_that_the_server_began_is_not_the_clients() -> None:
    found = _traces(*_server(parent=b"")).result()
    assert (found.requests, found.times) == ({}, None)


def test_spans_without_a_server_are_nothing_yet() -> None:
    assert _traces(*_server()[1:]).result().requests == {}


def test_spans_that_are_sent_again_count_once() -> None:
    found = _traces(*_server(), *_server()).result()
    assert found.times == ServerTimes("traces", 1, 100, 10, 5, 40, 5)


def test_a_proxy_adds_what_its_own_call_does_not_cover() -> None:
    proxy = _span("proxy", CLIENTS, 900, 1150, SERVER)
    call = _span("egress", proxy.span_id, 930, 1120, CLIENT)
    with_call = _traces(proxy, call, *_server(parent=call.span_id)).result()
    assert with_call.sidecar_mean_ns == 60
    assert next(iter(with_call.requests[TRACE.hex()].by_name().items())) == ("sidecar", 60)
    # The model server's own account stays what it was.
    assert with_call.times == ServerTimes("traces", 1, 100, 10, 5, 40, 5)

    without = _traces(proxy, *_server(parent=proxy.span_id)).result()
    assert without.sidecar_mean_ns == 150


def test_steps_of_an_ensemble_are_added_up() -> None:
    outer = _span("infer", CLIENTS, 0, 1000, SERVER)
    steps = []
    for number in (1, 2):
        step = _span(f"step {number}", outer.span_id, 100 * number, 100 * number + 50)
        queue = _span("queue", step.span_id, step.start_time_unix_nano, step.start_time_unix_nano + 20)
        compute = _span("compute", step.span_id, step.start_time_unix_nano + 20, step.end_time_unix_nano)
        queue.span_id, compute.span_id = f"queue  {number}".encode(), f"compute{number}".encode()
        steps += [step, queue, compute]
    # Without events all of a computation is computation.
    assert _traces(outer, *steps).result().times == ServerTimes("traces", 1, 1000, 40, 0, 60, 0)


def test_clocks_that_were_set_back_and_circles_are_survived() -> None:
    spans = _server()
    spans[1].end_time_unix_nano = spans[1].start_time_unix_nano - 500
    spans[2].events[0].time_unix_nano = 1
    spans[2].events[1].time_unix_nano = 2
    first, second = _span("a", b"b       ", 1, 2), _span("b", b"a       ", 1, 2)
    found = _traces(*spans, first, second, _span("self", b"self    ", 1, 2)).result()
    assert found.times == ServerTimes("traces", 1, 100, 0, 0, 50, 0)


def test_what_began_before_the_measured_time_is_left_out() -> None:
    traces = _traces(*_server())
    traces.begin(unix_ns=2000)
    traces.take(_message(*_server(), *_server(trace=b"another trace...", at=2000)))
    assert set(traces.result().requests) == {b"another trace...".hex()}


def test_memory_is_bounded_and_what_is_dropped_is_counted() -> None:
    traces = Traces(max_spans=4)
    traces.take(_message(*_server(), *_server(trace=b"another trace...")))
    found = traces.result()
    assert (found.spans, found.dropped) == (4, 2)
    assert len(found.requests) == 2
    traces.begin()
    assert traces.result().dropped == 0


@pytest.mark.parametrize(("wanted", "known"), [(TRACE, True), (b"another trace...", False)])
def test_waiting_for_requests(wanted: bytes, known: bool) -> None:
    assert _traces(*_server()).wait_for([wanted.hex()], timeout=0.05) is known
