"""One trace's spans, and which stage of the way each of them is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infermesh_perf.hops.server_times import ServerTimes

#: As OTLP numbers the kinds of spans.
SERVER, CLIENT = 2, 3
#: What infermesh calls the spans of a model, and the two events that divide the second.
QUEUE, COMPUTE = "queue", "compute"
GATHERED, EXECUTED = "inputs gathered", "model executed"


@dataclass(frozen=True, slots=True)
class Span:
    """What is kept of a span. Times are nanoseconds since 1970 on the clock of who made it."""

    id: bytes
    parent: bytes
    name: str
    kind: int
    start: int
    end: int
    #: When inputs were gathered and the model was done, of a computation; else 0.
    gathered: int = 0
    executed: int = 0

    @property
    def duration(self) -> int:
        """Never negative: clocks may be set back."""
        return max(self.end - self.start, 0)


def read_span(span: Any) -> Span:
    """From OTLP's message."""
    events = {event.name: event.time_unix_nano for event in span.events}
    return Span(
        id=span.span_id,
        parent=span.parent_span_id,
        name=span.name,
        kind=span.kind,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        gathered=events.get(GATHERED, 0),
        executed=events.get(EXECUTED, 0),
    )


@dataclass(frozen=True)
class Stages:
    """One request as its trace tells it, in nanoseconds."""

    server: ServerTimes
    #: What proxies added that recorded spans of their own; None if none did.
    sidecar_ns: int | None

    def by_name(self) -> Mapping[str, int]:
        """Stages by the names of hops, in the order of the way; without what the trace does not tell."""
        server = self.server
        rest = max(server.total_ns - server.stages_ns, 0)
        stages = {
            "queue": server.queue_ns,
            "input": server.input_ns,
            "compute": server.compute_ns,
            "output": server.output_ns,
            "server": rest,
        }
        sidecar = {} if self.sidecar_ns is None else {"sidecar": self.sidecar_ns}
        return sidecar | {name: round(value) for name, value in stages.items()}


def stages_of(spans: Iterable[Span]) -> Stages | None:
    """Stages of one request; None if no server span with a parent of the client's is among its spans.

    A trace that a server began by itself is not the client's. Of nested server spans, the innermost is the
    model server's and the others are those of proxies, which added what neither a span within theirs (their
    own call, if they recorded it) nor the model server covers.
    """
    known = {span.id: span for span in spans}
    servers = [span for span in known.values() if span.kind == SERVER]
    entries = [span for span in servers if span.parent and span.parent not in known]
    if not entries:
        return None
    outer = max(entries, key=lambda span: span.duration)
    children = _children(known.values())
    innermost = _innermost(outer, children)
    return Stages(_server_times(innermost, children), _sidecar(outer, innermost, children))


Children = Mapping[bytes, list[Span]]


def _children(spans: Iterable[Span]) -> Children:
    children: dict[bytes, list[Span]] = defaultdict(list)
    for span in spans:
        children[span.parent].append(span)
    return children


def _below(span: Span, children: Children) -> list[Span]:
    """All spans within one, each once, however they are linked."""
    found, seen, waiting = [], {span.id}, list(children.get(span.id, ()))
    while waiting:
        each = waiting.pop()
        if each.id not in seen:
            seen.add(each.id)
            found.append(each)
            waiting += children.get(each.id, ())
    return found


def _innermost(outer: Span, children: Children) -> Span:
    """The last server span on the way of the longest ones."""
    within = [span for span in _below(outer, children) if span.kind == SERVER]
    while within:
        outer = max(within, key=lambda span: span.duration)
        within = [span for span in _below(outer, children) if span.kind == SERVER]
    return outer


def _sidecar(outer: Span, innermost: Span, children: Children) -> int | None:
    if outer is innermost:
        return None
    calls = [span for span in children.get(outer.id, ()) if span.kind == CLIENT]
    covered = max((span.duration for span in calls), default=innermost.duration)
    return max(outer.duration - covered, 0)


def _server_times(server: Span, children: Children) -> ServerTimes:
    queue = gather = compute = output = 0
    for span in _below(server, children):
        if span.name == QUEUE:
            queue += span.duration
        elif span.name == COMPUTE:
            # Events that are missing, or not within their span, leave all of it to the computation.
            gathered = span.gathered if span.start <= span.gathered <= span.end else span.start
            executed = span.executed if gathered <= span.executed <= span.end else span.end
            gather += gathered - span.start
            compute += max(executed - gathered, 0)
            output += max(span.end - executed, 0)
    return ServerTimes("traces", 1, server.duration, queue, gather, compute, output)
