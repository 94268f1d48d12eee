"""Keeps the spans of the client's requests and says what they tell: stages in the mean, and by request."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from infermesh_perf.hops.server_times import ServerTimes, mean_times
from infermesh_perf.hops.spans import Span, Stages, read_span, stages_of

#: About 300 bytes each.
MAX_SPANS = 100_000


@dataclass(frozen=True)
class Traced:
    """What the traces of one level say."""

    #: None if no trace of the client's arrived.
    times: ServerTimes | None
    #: Mean over the requests whose proxies recorded spans; None if there are none.
    sidecar_mean_ns: float | None
    #: Hexadecimal trace id to stages.
    requests: dict[str, Stages]
    spans: int
    #: Spans that came when there was no room for more.
    dropped: int


class Traces:
    """`take` is for `otlp_receiver.receiving`, and may be called from any thread.

    Spans of one request come in any order and in several messages, so they are put together at the end.
    """

    def __init__(self, max_spans: int = MAX_SPANS) -> None:
        self._max_spans = max_spans
        self._news = threading.Condition()
        self._spans: dict[bytes, list[Span]] = {}
        self._count = 0
        self._dropped = 0
        self._since = 0

    def begin(self, unix_ns: int = 0) -> None:
        """Forgets everything; spans that began earlier than this are not taken.

        `unix_ns` is on the server's clock, which on another machine may be another.
        """
        with self._news:
            self._spans = {}
            self._count = self._dropped = 0
            self._since = unix_ns

    def take(self, message: Any) -> None:
        """One ExportTraceServiceRequest."""
        scopes = (scope for resource in message.resource_spans for scope in resource.scope_spans)
        with self._news:
            for scope in scopes:
                for span in scope.spans:
                    if span.start_time_unix_nano >= self._since:
                        self._keep(span)
            self._news.notify_all()

    def wait_for(self, trace_ids: Iterable[str], timeout: float) -> bool:
        """Waits, seconds at most, until all these requests are known; servers send spans with a delay."""
        missing = [bytes.fromhex(trace_id) for trace_id in trace_ids]
        deadline = time.monotonic() + timeout
        with self._news:
            while missing := [trace for trace in missing if self._stages(trace) is None]:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._news.wait(left)
        return True

    def result(self) -> Traced:
        """Everything until now."""
        with self._news:
            spans, count, dropped = dict(self._spans), self._count, self._dropped
        found = {trace.hex(): stages_of(list(of_trace)) for trace, of_trace in spans.items()}
        requests = {trace: stages for trace, stages in found.items() if stages is not None}
        sidecars = [it.sidecar_ns for it in requests.values() if it.sidecar_ns is not None]
        return Traced(
            times=mean_times(it.server for it in requests.values()),
            sidecar_mean_ns=sum(sidecars) / len(sidecars) if sidecars else None,
            requests=requests,
            spans=count,
            dropped=dropped,
        )

    def _keep(self, span: Any) -> None:
        if self._count >= self._max_spans:
            self._dropped += 1
            return
        self._count += 1
        self._spans.setdefault(span.trace_id, []).append(read_span(span))

    def _stages(self, trace: bytes) -> Stages | None:
        return stages_of(self._spans.get(trace, ()))
