"""What is kept of what is scraped: rate, errors and duration of models, routes, upstreams and workloads.

Names are `level:metric:operation`, as is the custom: the level is whose it is, beside the labels of `WHOSE`.
"""

from collections.abc import Iterator

from infermesh.deploy.observability.rule import WHOSE, Object, group, mean, quantile, rate, ratio, record

MODEL, ROUTE, UPSTREAM = f"{WHOSE}, model", f"{WHOSE}, listener, route", f"{WHOSE}, cluster"

#: How a request of a sidecar ends that somebody else than its caller has to mend.
FAILED = 'code=~"UNKNOWN|INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|DATA_LOSS|5xx|broken"'

#: How an attempt ends that tells against the endpoint.
_FAILED_ATTEMPT = 'outcome!~"success|rejected|given_up"'

#: What comes to an app, and what goes from it to somebody; without a route it went to nobody.
_INBOUND, _OUTBOUND = 'listener="inbound"', 'listener="outbound",route!=""'

_QUANTILES = (("p50", 0.5), ("p99", 0.99))

#: Windows in which the share of failures is known, the shortest first.
WINDOWS = ("5m", "30m", "1h", "6h", "3d")

_SIDECAR, _SERVER = "infermesh_proxy_request_duration_seconds", "infermesh_request_duration_seconds"


def groups() -> list[Object]:
    """Groups of rules, the same for every mesh."""
    return [
        group("infermesh-models", list(_models())),
        group("infermesh-routes", list(_routes())),
        group("infermesh-upstreams", list(_upstreams())),
        group("infermesh-workloads", list(_workloads())),
    ]


def _models() -> Iterator[Object]:
    failed = rate('nv_inference_request_failure{reason!="CANCELED"}', MODEL)
    yield record("model:infermesh_failures:rate5m", failed)
    yield record(
        "model:infermesh_requests:rate5m",
        f"{rate('nv_inference_request_success', MODEL)} + model:infermesh_failures:rate5m",
    )
    yield record(
        "model:infermesh_error_ratio:rate5m",
        ratio("model:infermesh_failures:rate5m", "model:infermesh_requests:rate5m"),
    )
    yield from _durations("model:infermesh_request_duration_seconds", _SERVER, MODEL)
    queue = "infermesh_queue_duration_seconds"
    yield record("model:infermesh_queue_duration_seconds:mean5m", mean(queue, MODEL))
    yield record("model:infermesh_queue_duration_seconds:p99_5m", quantile(0.99, queue, MODEL))
    yield record(
        "model:infermesh_queue_share:rate5m",
        ratio(rate(f"{queue}_sum", MODEL), rate(f"{_SERVER}_sum", MODEL)),
    )
    compute = "infermesh_compute_duration_seconds"
    yield record("model:infermesh_compute_duration_seconds:p99_5m", quantile(0.99, compute, MODEL))
    yield record("model:infermesh_batch_rows:mean5m", mean("infermesh_batch_rows", MODEL))
    yield record("model:infermesh_batch_requests:mean5m", mean("infermesh_batch_requests", MODEL))
    yield record(
        "model:infermesh_pending_requests:sum", f"sum by ({MODEL}) (nv_inference_pending_request_count)"
    )
    hits, misses = (rate(f"nv_cache_num_{what}_per_model", MODEL) for what in ("hits", "misses"))
    yield record("model:infermesh_cache_hit_ratio:rate5m", ratio(hits, f"({hits} + {misses})"))
    # Of instances and not of series: an instance may serve several versions.
    yield record(
        "model:infermesh_ready_instances:count",
        f"count by ({MODEL}) (count by ({MODEL}, instance) (nv_inference_request_success))",
    )


def _routes() -> Iterator[Object]:
    requests = "infermesh_proxy_requests_total"
    yield record("route:infermesh_proxy_requests:rate5m", rate(requests, ROUTE))
    # A code has no series before its first request; without one nothing has failed.
    yield record(
        "route:infermesh_proxy_failures:rate5m",
        f"{rate(f'{requests}{{{FAILED}}}', ROUTE)} or route:infermesh_proxy_requests:rate5m * 0",
    )
    yield record(
        "route:infermesh_proxy_error_ratio:rate5m",
        ratio("route:infermesh_proxy_failures:rate5m", "route:infermesh_proxy_requests:rate5m"),
    )
    yield from _durations("route:infermesh_proxy_request_duration_seconds", _SIDECAR, ROUTE)
    yield record(
        "route:infermesh_proxy_retry_ratio:rate5m",
        ratio(rate("infermesh_proxy_retries_total", ROUTE), "route:infermesh_proxy_requests:rate5m"),
    )
    yield record(
        "route:infermesh_proxy_refused_ratio:rate5m",
        ratio(
            rate("infermesh_proxy_requests_not_admitted_total", ROUTE),
            "route:infermesh_proxy_requests:rate5m",
        ),
    )
    lookups = "infermesh_proxy_cache_lookups_total"
    yield record(
        "route:infermesh_proxy_cache_hit_ratio:rate5m",
        ratio(rate(f'{lookups}{{result="hit"}}', ROUTE), rate(lookups, ROUTE)),
    )


def _upstreams() -> Iterator[Object]:
    attempts = "infermesh_proxy_attempts_total"
    yield record("upstream:infermesh_proxy_attempts:rate5m", rate(attempts, UPSTREAM))
    failed = rate(f"{attempts}{{{_FAILED_ATTEMPT}}}", UPSTREAM)
    yield record(
        "upstream:infermesh_proxy_failure_ratio:rate5m",
        ratio(
            f"({failed} or upstream:infermesh_proxy_attempts:rate5m * 0)",
            "upstream:infermesh_proxy_attempts:rate5m",
        ),
    )
    yield from _durations(
        "upstream:infermesh_proxy_attempt_duration_seconds",
        "infermesh_proxy_attempt_duration_seconds",
        UPSTREAM,
    )
    # Each caller sees its own: what counts is the one that is worst off.
    yield record(
        "upstream:infermesh_proxy_endpoints_available:min",
        f"min by ({UPSTREAM}) (sum by ({UPSTREAM}, instance) (infermesh_proxy_endpoint_available))",
    )
    yield record(
        "upstream:infermesh_proxy_breakers_open:sum",
        f'sum by ({UPSTREAM}) (infermesh_proxy_breaker_state{{state!="closed"}})',
    )


def _workloads() -> Iterator[Object]:
    """Of a workload as it sees itself, and as those see it who call it."""
    for what in ("requests", "failures"):
        name = f"workload:infermesh_{what}:rate5m"
        inbound, outbound = (
            f"route:infermesh_proxy_{what}:rate5m{{{side}}}" for side in (_INBOUND, _OUTBOUND)
        )
        yield record(name, f"sum by ({WHOSE}) (model:infermesh_{what}:rate5m or {inbound})", view="own")
        yield record(name, f"sum by ({WHOSE}) ({_by_called(outbound)})", view="callers")
    whole = "workload:infermesh_requests:rate5m"
    part = "workload:infermesh_failures:rate5m"
    yield record("workload:infermesh_error_ratio:rate5m", ratio(part, whole))
    for window in WINDOWS[1:]:
        sums = (f"sum_over_time({name}[{window}])" for name in (part, whole))
        yield record(f"workload:infermesh_error_ratio:rate{window}", ratio(*sums))
    for what, share in _QUANTILES:
        name = f"workload:infermesh_request_duration_seconds:{what}_5m"
        server = quantile(share, _SERVER, WHOSE)
        inbound = quantile(share, _SIDECAR, WHOSE, f"{{{_INBOUND}}}")
        yield record(name, f"{server}\nor\n{inbound}", view="own")
        buckets = _by_called(f"rate({_SIDECAR}_bucket{{{_OUTBOUND}}}[5m])")
        called = f"histogram_quantile({share}, sum by ({WHOSE}, le) ({buckets}))"
        yield record(name, called, view="callers")


def _durations(name: str, histogram: str, by: str) -> Iterator[Object]:
    for what, share in _QUANTILES:
        yield record(f"{name}:{what}_5m", quantile(share, histogram, by))


def _by_called(series: str) -> str:
    """As those whom a route leads to: in a mesh it is called after them."""
    return f'label_replace({series}, "workload", "$1", "route", "(.+)")'
