"""Overviews of meshes that do not exist, for the page that shows them."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from infermesh.overview.view import (
    CALLERS,
    Batches,
    Breaker,
    Edge,
    Endpoint,
    History,
    Instance,
    Model,
    Overview,
    State,
    Totals,
    Traffic,
    Workload,
)


def history(rate: float | None, p99_ms: float | None) -> History:
    """A minute that went up and down around these."""
    if not rate:
        return History()
    waves = [1 + 0.18 * math.sin(at / 4) + 0.07 * math.sin(at * 1.7) for at in range(60)]
    return History([round(rate * it, 1) for it in waves], [round((p99_ms or 0) * it, 1) for it in waves])


def instance(name: str, port: int, state: State = "ready", problem: str | None = None) -> Instance:
    """One on this machine."""
    return Instance(name, state, 0, f"127.0.0.1:{port}", problem)


def model(
    name: str, traffic: Traffic, *, version: str = "1", state: str = "READY", reason: str = ""
) -> Model:
    """A model that batches, if anybody asks it."""
    sizes = zip((1, 2, 4, 8, 16), (30, 44, 81, 52, 12), strict=True)
    batches = [Batches(rows, count) for rows, count in sizes] if traffic.rate else []
    queue = 1.8 if traffic.rate else None
    past = history(traffic.rate, traffic.p99_ms)
    return Model(name, version, state, reason, traffic, queue, 0, batches, past)


def edge(
    source: str, target: str, traffic: Traffic, retries: float = 0.0, endpoints: Sequence[Endpoint] = ()
) -> Edge:
    """Who calls whom."""
    order: list[Breaker] = ["closed", "half_open", "open"]
    breaker = max((it.breaker for it in endpoints if it.breaker), key=order.index, default=None)
    past = history(traffic.rate, traffic.p99_ms)
    return Edge(source, target, traffic, retries, breaker, endpoints, past)


def overview(workloads: Sequence[Workload], edges: Sequence[Edge], name: str = "shop") -> Overview:
    """With its totals."""
    instances = [it for workload in workloads for it in workload.instances]
    models = [it for workload in workloads for it in workload.models]
    outside = [it for it in edges if it.source == CALLERS]
    rate = sum(it.traffic.rate or 0 for it in outside)
    good = sum((it.traffic.rate or 0) * (it.traffic.success or 0) for it in outside)
    slowest = max((it.traffic.p99_ms or 0 for it in outside), default=None)
    traffic = Traffic(rate, good / rate if rate else None, slowest, slowest)
    totals = Totals(
        traffic=traffic,
        instances=len(instances),
        ready=sum(it.state == "ready" for it in instances),
        restarts=sum(it.restarts for it in instances),
        models=len(models),
        models_ready=sum(it.is_ready for it in models),
        breakers_open=sum(it.breaker == "open" for one in edges for it in one.endpoints),
        history=history(rate, slowest),
    )
    return Overview(name, None, time.time(), workloads, edges, totals)


def well() -> Overview:
    """Two apps and two servers that do what they should."""
    both = [
        Endpoint("checkout", "127.0.0.1:41001", True, None, "closed", 2),
        Endpoint("checkout", "127.0.0.1:41002", True, None, "closed", 1),
    ]
    search = [Endpoint("search", "127.0.0.1:41003", True, None, "closed", 5)]
    return overview(
        [
            Workload("checkout", "app", [instance("checkout", 8080)], []),
            Workload("search", "app", [instance("search-1", 8081), instance("search-2", 8082)], []),
            Workload(
                "fraud",
                "server",
                [instance("fraud-1", 41001), instance("fraud-2", 41002)],
                [
                    model("fraud", Traffic(118.4, 1.0, 2.1, 6.4), version="3"),
                    model("fraud-shadow", Traffic(0.0)),
                ],
            ),
            Workload(
                "ranking",
                "server",
                [instance("ranking", 41003)],
                [
                    model("embed", Traffic(894.0, 0.9999, 3.2, 9.8)),
                    model("rank", Traffic(442.0, 0.991, 8.0, 38.0), version="12"),
                ],
            ),
        ],
        [
            edge(CALLERS, "checkout", Traffic(118.0, 0.9997, 9.0, 31.0)),
            edge("checkout", "fraud", Traffic(118.4, 1.0, 2.6, 7.2), endpoints=both),
            edge(CALLERS, "search", Traffic(447.0, 0.998, 22.0, 84.0)),
            edge("search", "ranking", Traffic(1336.0, 0.997, 5.5, 30.2), 1.4, search),
            edge("search", "fraud", Traffic(0.0)),
        ],
    )


def hurt() -> Overview:
    """The same with a server that has ended, one whose breaker is open, and a model that cannot be loaded."""
    found = well()
    workloads = list(found.workloads)
    fraud, ranking = workloads[2], workloads[3]
    gone = replace(instance("fraud-2", 41002, "ended", "exit code 137, started again in 4 s"), restarts=3)
    workloads[2] = replace(fraud, instances=[fraud.instances[0], gone])
    broken = model(
        "rank", Traffic(0.0), version="12", state="UNAVAILABLE", reason="no file model.onnx in 12/"
    )
    workloads[3] = replace(ranking, models=[ranking.models[0], broken])
    endpoints = [
        Endpoint("checkout", "127.0.0.1:41001", True, None, "closed", 2),
        Endpoint("checkout", "127.0.0.1:41002", False, "its breaker is open for 3.2 s", "open", 0),
    ]
    edges = list(found.edges)
    edges[1] = edge("checkout", "fraud", Traffic(121.0, 0.962, 2.8, 12.4), 4.6, endpoints)
    edges[3] = edge("search", "ranking", Traffic(1336.0, 0.66, 5.5, 30.2), 20.0, edges[3].endpoints)
    return overview(workloads, edges)


def empty() -> Overview:
    """A mesh with nothing in it."""
    return overview([], [])
