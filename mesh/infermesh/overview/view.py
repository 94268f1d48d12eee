"""What the picture shows, as plain data, of which `text` makes JSON.

Rates are per second, and all of the last ten seconds. None: there was nothing to tell it from.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

#: Of an instance: `ready`; `unready`, it answers and wants no requests; `silent`, it runs and does not
#: answer; or the state of its processes.
State = Literal["ready", "unready", "silent", "waiting", "starting", "restarting", "ending", "ended"]

#: What there is a picture of: all of a mesh, or what one sidecar sees. Of those that it calls that knows
#: endpoints only.
Scope = Literal["mesh", "sidecar"]

#: In the order of how bad they are.
Breaker = Literal["closed", "half_open", "open"]

#: Who calls apps from outside the mesh, as the source of an edge. No workload can have this name.
CALLERS = "*"


@dataclass(frozen=True)
class Traffic:
    """Requests that came to an end."""

    rate: float | None = None
    #: Share of those that did not fail by whom they were sent to.
    success: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True)
class History:
    """The last minute, a value for each second or so, the newest last; empty: nothing has happened."""

    rate: Sequence[float | None] = ()
    p99_ms: Sequence[float | None] = ()


@dataclass(frozen=True)
class Instance:
    """One of a workload."""

    name: str
    state: State
    restarts: int
    address: str | None
    #: Why it is not ready, for people.
    problem: str | None
    #: What came to it: to an app, or to all models of a server.
    traffic: Traffic = Traffic()


@dataclass(frozen=True)
class Batches:
    """How many batches had more rows than the bound before, and at most so many; None: more than that."""

    rows: float | None
    count: float


@dataclass(frozen=True)
class Model:
    """A version of a model of a server, over all instances."""

    name: str
    #: Empty: none is there.
    version: str
    #: As the protocol has it (`READY`, `LOADING`, ...), `UNKNOWN`, or on how many instances it is ready.
    state: str
    reason: str
    traffic: Traffic
    #: What a request waited on average.
    queue_ms: float | None
    #: Requests that wait.
    pending: int
    batches: Sequence[Batches]
    history: History

    @property
    def is_ready(self) -> bool:
        """Whether all instances have it."""
        return self.state == "READY"


@dataclass(frozen=True)
class Workload:
    """Who is called by one name."""

    name: str
    kind: str
    instances: Sequence[Instance]
    models: Sequence[Model]


@dataclass(frozen=True)
class Endpoint:
    """Whom a caller may ask, as one instance of the caller sees it."""

    seen_by: str
    address: str
    is_available: bool
    #: Why it is not, for people.
    problem: str | None
    #: None: it has no breaker.
    breaker: Breaker | None
    in_flight: int


@dataclass(frozen=True)
class Edge:
    """Who calls whom.

    Between workloads each attempt counts: a failure is seen here that a retry has mended.
    """

    source: str
    target: str
    traffic: Traffic
    #: Attempts after the first, per second.
    retries: float | None
    #: The worst of its endpoints; None: there is no breaker.
    breaker: Breaker | None
    endpoints: Sequence[Endpoint]
    history: History


@dataclass(frozen=True)
class Totals:
    """The mesh as a whole."""

    #: Of what comes from outside; where no app is, of all models.
    traffic: Traffic
    instances: int
    ready: int
    restarts: int
    models: int
    models_ready: int
    #: Endpoints that a caller's breaker keeps requests from.
    breakers_open: int
    history: History


@dataclass(frozen=True)
class Overview:
    """A mesh at one moment."""

    name: str
    environment: str | None
    #: When it was collected, in seconds since 1970; None: nothing has been yet.
    at: float | None
    workloads: Sequence[Workload]
    edges: Sequence[Edge]
    totals: Totals
    scope: Scope = "mesh"


def text(overview: Overview) -> str:
    """An overview as JSON of one line."""
    return json.dumps(asdict(overview), separators=(",", ":"))
