"""Divides the mean latency of a request among the stages of its way."""

from __future__ import annotations

from infermesh_perf.hops.server_times import ServerTimes
from infermesh_perf.results.document import Hop

CLIENT = "client"


def hops(
    lag_mean_ns: float,
    service_mean_ns: float,
    server: ServerTimes | None,
    sidecar_mean_ns: float | None = None,
    traced: ServerTimes | None = None,
    sidecar_source: str = "Prometheus",
) -> list[Hop]:
    """Stages in the order of the way, which add up to the client's lag and service time together.

    `lag_mean_ns` is from due to sent and `service_mean_ns` from sent to answered, as the client measured
    them. `server` is the server's own account; `traced`, that of the share of the requests that was traced,
    takes its place where there is none. `sidecar_mean_ns` is what a proxy on the way adds, from
    `sidecar_source`.

    Nothing is negative. The accounts are means over different requests (the server counts those of other
    clients, and those that began before the measurement), so what they claim is bounded by what the client
    saw: first the server's total by the service time, then the sidecar by what is left; the rest is the
    network. Stages that exceed the server's total (steps of an ensemble that ran at the same time) are all
    made smaller by the same factor; the rest of its total is `server`: reading, routing, writing.

    Without any account of the server the service time less the sidecar is one stage, `server`, and its
    source says that the network is in it.
    """
    service = max(service_mean_ns, 0.0)
    found = [Hop(name="client lag", mean_ns=max(lag_mean_ns, 0.0), source=CLIENT)]
    known = server or traced
    total = min(max(known.total_ns, 0.0), service) if known else 0.0
    sidecar = min(max(sidecar_mean_ns or 0.0, 0.0), service - total)
    rest = max(service - total - sidecar, 0.0)
    if known:
        found.append(Hop(name="network", mean_ns=rest, source=f"{CLIENT} less {known.source}"))
    if sidecar_mean_ns is not None:
        found.append(Hop(name="sidecar", mean_ns=sidecar, source=sidecar_source))
    if known is None:
        return [*found, Hop(name="server", mean_ns=rest, source=f"{CLIENT}, with the network")]
    return found + _within(known, total)


def _within(server: ServerTimes, total: float) -> list[Hop]:
    """The stages of a server, which get no more than `total`."""
    stages = {
        "queue": max(server.queue_ns, 0.0),
        "input": max(server.input_ns, 0.0),
        "compute": max(server.compute_ns, 0.0),
        "output": max(server.output_ns, 0.0),
    }
    claimed = sum(stages.values())
    factor = total / claimed if claimed > total else 1.0
    shares = {name: value * factor for name, value in stages.items()}
    shares["server"] = max(total - sum(shares.values()), 0.0)
    return [
        Hop.model_validate({"name": name, "mean_ns": value, "source": server.source})
        for name, value in shares.items()
    ]
