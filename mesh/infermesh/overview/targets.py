"""Whom a mesh's picture is made of: one target for each instance of a workload."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

#: How the processes of an instance are, as far as who started them knows. `running`: it is for the instance
#: itself to say whether it is ready. `unready`: one of them is not, whatever the others say.
ProcessState = Literal["waiting", "starting", "running", "unready", "restarting", "ending", "ended"]


@dataclass(frozen=True)
class Target:
    """One instance of a workload, and where it tells of itself; None: it has no such thing."""

    workload: str
    #: A name that no other instance of the mesh has.
    instance: str
    #: What the workload is: `server`, `app`.
    kind: str
    #: The workloads that it calls.
    calls: Sequence[str] = ()
    #: The models that it should have.
    models: Sequence[str] = ()
    #: Of a server's REST API, without a path: http://127.0.0.1:8000.
    http: str | None = None
    #: Of a server's metrics: http://127.0.0.1:8002/metrics.
    metrics: str | None = None
    #: Of a sidecar's admin endpoint, without a path: http://127.0.0.1:15000.
    admin: str | None = None
    #: HOST:PORT where it is called.
    address: str | None = None


@dataclass(frozen=True)
class InstanceState:
    """What is known of one instance by who started it."""

    state: ProcessState
    #: How often it was started again.
    restarts: int = 0
    #: Why it is not running, for people.
    problem: str | None = None
