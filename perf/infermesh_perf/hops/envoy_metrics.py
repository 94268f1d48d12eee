"""What an Envoy on the way adds to a request, from its own histograms."""

from __future__ import annotations

from typing import Final

from infermesh_perf.hops.gathered import Gathered

DOWNSTREAM: Final = "envoy_http_downstream_rq_time"
UPSTREAM: Final = "envoy_cluster_upstream_rq_time"
NAMES: Final = (DOWNSTREAM, UPSTREAM)
NANOSECONDS: Final = 1e6
#: Envoy counts whole milliseconds: the mean of shorter requests is mostly what it cut off.
LEAST_MEAN_MS: Final = 5.0


def sidecar_mean_ns(gathered: Gathered) -> float | None:
    """Time per request with its client less that with its upstream: reading, filters, choice, both hops.

    None if there is no Envoy, if no request ended, or if requests took less than LEAST_MEAN_MS in the mean.
    Envoy publishes histograms every few seconds (`stats_flush_interval`), so a measured time should be much
    longer than that. Requests to its administration are left out, since scrapes are among them.
    """
    requests = _grown(gathered, f"{DOWNSTREAM}_count")
    downstream = _grown(gathered, f"{DOWNSTREAM}_sum")
    upstream = _grown(gathered, f"{UPSTREAM}_sum")
    answered = _grown(gathered, f"{UPSTREAM}_count")
    if not requests or not answered or downstream / requests < LEAST_MEAN_MS:
        return None
    # By the client's requests, so that all tries of one that was sent again count as upstream.
    return max(downstream - upstream, 0.0) / requests * NANOSECONDS


def _grown(gathered: Gathered, name: str) -> float:
    return sum(
        by
        for (series, labels), by in gathered.grown.items()
        if series == name and dict(labels).get("envoy_http_conn_manager_prefix") != "admin"
    )
