"""The server's account of requests from the counters that Triton and infermesh share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from infermesh_perf.hops.gathered import Gathered
from infermesh_perf.hops.server_times import ServerTimes
from infermesh_perf.hops.statistics import Key

REQUESTS: Final = "nv_inference_request_success"
#: Sums over successful requests, in microseconds.
STAGES: Final = tuple(
    f"nv_inference_{stage}_duration_us"
    for stage in ("request", "queue", "compute_input", "compute_infer", "compute_output")
)
NAMES: Final = (
    REQUESTS,
    *STAGES,
    "nv_inference_request_failure",
    "nv_inference_count",
    "nv_inference_exec_count",
)
NANOSECONDS: Final = 1e3


def server_times(gathered: Gathered, asked: Iterable[Key]) -> ServerTimes | None:
    """Means over the requests to some models, name and version (or none); None without any request."""
    wanted = set(asked)

    def grown(name: str) -> float:
        return sum(
            by
            for (series, labels), by in gathered.grown.items()
            if series == name and _is_wanted(dict(labels), wanted)
        )

    requests = grown(REQUESTS)
    if not requests:
        return None
    means = (grown(stage) * NANOSECONDS / requests for stage in STAGES)
    return ServerTimes("Prometheus", int(requests), *means)


def _is_wanted(labels: dict[str, str], wanted: set[Key]) -> bool:
    model = labels.get("model", "")
    return (model, "") in wanted or (model, labels.get("version", "")) in wanted
