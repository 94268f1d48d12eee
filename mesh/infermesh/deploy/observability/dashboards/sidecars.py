"""Sidecars: what comes to them and goes from them, and what their policies do."""

from infermesh.deploy.observability.dashboards import panels
from infermesh.deploy.observability.dashboards.panels import WHOSE, Object, Panel, Query, Row

_ROUTES = f'{{{WHOSE}, route=~"$route"}}'
_UPSTREAMS = f"{{{WHOSE}}}"
_ROUTE = "{{workload}} {{listener}}/{{route}}"
_UPSTREAM = "{{workload}} to {{cluster}}"
_OPEN = 'state!="closed"'
_BY = "mesh, namespace, workload, listener, route"


def dashboard() -> Object:
    """The dashboard."""
    requests = "route:infermesh_proxy_requests:rate5m"
    route = panels.variable("route", "Route", f"{requests}{{{WHOSE}}}")
    return panels.dashboard(
        "infermesh-sidecars", "infermesh: sidecars", [*panels.whose(requests), route], _rows()
    )


def _rows() -> list[Row]:
    return [
        Row(
            "Requests: rate, errors, duration",
            [
                Panel("Requests", "reqps", [_route("route:infermesh_proxy_requests:rate5m")]),
                Panel("Failures", "percentunit", [_route("route:infermesh_proxy_error_ratio:rate5m")]),
                Panel(
                    "Duration",
                    "s",
                    [
                        _route("route:infermesh_proxy_request_duration_seconds:p50_5m", "p50"),
                        _route("route:infermesh_proxy_request_duration_seconds:p99_5m", "p99"),
                    ],
                ),
            ],
        ),
        Row(
            "How requests end",
            [
                Panel("By code", "reqps", [_rate("infermesh_proxy_requests_total", "code")]),
                Panel(
                    "Not let in", "reqps", [_rate("infermesh_proxy_requests_not_admitted_total", "reason")]
                ),
                Panel(
                    "Retries and hedges",
                    "reqps",
                    [
                        _rate("infermesh_proxy_retries_total", what="retries"),
                        _rate("infermesh_proxy_hedges_total", what="hedges"),
                        _rate("infermesh_proxy_retries_refused_total", "reason", "not retried:"),
                    ],
                ),
            ],
        ),
        Row(
            "Limits and cache",
            [
                Panel(
                    "Under way and waiting",
                    "none",
                    [
                        _sum("infermesh_proxy_requests_in_flight", "in flight"),
                        _sum("infermesh_proxy_concurrency_waiting", "waiting"),
                        _sum("infermesh_proxy_concurrency_limit", "limit"),
                    ],
                ),
                Panel(
                    "Share refused by admission control",
                    "percentunit",
                    [Query(f"max by ({_BY}) (infermesh_proxy_shed_ratio{_ROUTES})", _ROUTE)],
                ),
                Panel(
                    "Share of answers from the cache",
                    "percentunit",
                    [_route("route:infermesh_proxy_cache_hit_ratio:rate5m")],
                ),
                Panel("Enrichments", "reqps", [_rate("infermesh_proxy_enrichments_total", "rule, code")]),
            ],
        ),
        Row(
            "Upstreams",
            [
                Panel("Attempts", "reqps", [_upstream("upstream:infermesh_proxy_attempts:rate5m")]),
                Panel(
                    "Attempts that fail",
                    "percentunit",
                    [_upstream("upstream:infermesh_proxy_failure_ratio:rate5m")],
                ),
                Panel(
                    "Duration of attempts",
                    "s",
                    [
                        _upstream("upstream:infermesh_proxy_attempt_duration_seconds:p50_5m", "p50"),
                        _upstream("upstream:infermesh_proxy_attempt_duration_seconds:p99_5m", "p99"),
                    ],
                ),
            ],
        ),
        Row(
            "Endpoints and breakers",
            [
                Panel(
                    "Endpoints that may be asked",
                    "none",
                    [_upstream("upstream:infermesh_proxy_endpoints_available:min")],
                    "As the sidecar sees it that knows the fewest.",
                ),
                Panel(
                    "Breakers that are open",
                    "none",
                    [_upstream("upstream:infermesh_proxy_breakers_open:sum")],
                    bad_from=1,
                ),
                Panel(
                    "Endpoints with an open breaker",
                    "none",
                    [
                        Query(
                            f"infermesh_proxy_breaker_state{{{_OPEN}, {WHOSE}}} > 0",
                            f"{_UPSTREAM} {{{{endpoint}}}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            "Identity",
            [
                Panel(
                    "Time until certificates end",
                    "s",
                    [
                        Query(
                            f"infermesh_proxy_certificate_expiration_timestamp_seconds{_UPSTREAMS} - time()",
                            "{{workload}} {{instance}} {{role}}",
                        )
                    ],
                ),
                Panel(
                    "Handshakes",
                    "ops",
                    [
                        Query(
                            "sum by (mesh, namespace, workload, side, result) "
                            f"(rate(infermesh_proxy_tls_handshakes_total{_UPSTREAMS}[5m]))",
                            "{{workload}} {{side}} {{result}}",
                        )
                    ],
                ),
            ],
        ),
    ]


def _route(series: str, what: str = "") -> Query:
    return Query(f"{series}{_ROUTES}", f"{_ROUTE} {what}".strip())


def _upstream(series: str, what: str = "") -> Query:
    return Query(f"{series}{_UPSTREAMS}", f"{_UPSTREAM} {what}".strip())


def _rate(series: str, by: str = "", what: str = "") -> Query:
    labels = [_BY, by] if by else [_BY]
    shown = [f"{{{{{label}}}}}" for label in by.split(", ") if label]
    return Query(
        f"sum by ({', '.join(labels)}) (rate({series}{_ROUTES}[5m]))",
        " ".join(filter(None, [_ROUTE, what, *shown])),
    )


def _sum(series: str, what: str) -> Query:
    return Query(f"sum by ({_BY}) ({series}{_ROUTES})", f"{_ROUTE} {what}")
