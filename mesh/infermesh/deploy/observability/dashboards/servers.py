"""Models: what they are asked, how long it takes, where the time goes."""

from infermesh.deploy.observability.dashboards import panels
from infermesh.deploy.observability.dashboards.panels import WHOSE, Object, Panel, Query, Row

_CHOSEN = f'{{{WHOSE}, model=~"$model"}}'
_LEGEND = "{{workload}} {{model}}"
_BY = "mesh, namespace, workload, model"


def dashboard() -> Object:
    """The dashboard."""
    requests = "model:infermesh_requests:rate5m"
    model = panels.variable("model", "Model", f"{requests}{{{WHOSE}}}")
    return panels.dashboard(
        "infermesh-models", "infermesh: models", [*panels.whose(requests), model], _rows()
    )


def _rows() -> list[Row]:
    return [
        Row(
            "Rate, errors, duration",
            [
                Panel("Requests", "reqps", [_each("model:infermesh_requests:rate5m")]),
                Panel(
                    "Failures by reason",
                    "reqps",
                    [
                        Query(
                            f"sum by ({_BY}, reason) (rate(nv_inference_request_failure{_CHOSEN}[5m])) > 0",
                            f"{_LEGEND} {{{{reason}}}}",
                        )
                    ],
                    "REJECTED: the queue was full or too slow. CANCELED: nobody waited. BACKEND: the model.",
                ),
                Panel(
                    "Duration",
                    "s",
                    [
                        _each("model:infermesh_request_duration_seconds:p50_5m", "p50"),
                        _each("model:infermesh_request_duration_seconds:p99_5m", "p99"),
                    ],
                ),
            ],
        ),
        Row(
            "Queue",
            [
                Panel("Requests that wait", "none", [_each("model:infermesh_pending_requests:sum")]),
                Panel(
                    "Time in the queue",
                    "s",
                    [
                        _each("model:infermesh_queue_duration_seconds:mean5m", "mean"),
                        _each("model:infermesh_queue_duration_seconds:p99_5m", "p99"),
                    ],
                ),
                Panel(
                    "Share of the time spent waiting",
                    "percentunit",
                    [_each("model:infermesh_queue_share:rate5m")],
                ),
            ],
        ),
        Row(
            "Batches",
            [
                Panel(
                    "Rows and requests of a batch",
                    "none",
                    [
                        _each("model:infermesh_batch_rows:mean5m", "rows"),
                        _each("model:infermesh_batch_requests:mean5m", "requests"),
                    ],
                ),
                Panel("Execution", "s", [_each("model:infermesh_compute_duration_seconds:p99_5m", "p99")]),
                Panel("Instances that are ready", "none", [_each("model:infermesh_ready_instances:count")]),
            ],
        ),
        Row(
            "Response cache",
            [
                Panel(
                    "Share of answers from it",
                    "percentunit",
                    [_each("model:infermesh_cache_hit_ratio:rate5m")],
                ),
                Panel(
                    "Memory",
                    "bytes",
                    [
                        Query(f"infermesh_cache_bytes{{{WHOSE}}}", "{{workload}} {{instance}}"),
                        Query(f"infermesh_cache_limit_bytes{{{WHOSE}}}", "{{workload}} {{instance}} limit"),
                    ],
                ),
                Panel(
                    "Evictions",
                    "ops",
                    [
                        Query(
                            f"rate(infermesh_cache_evictions_total{{{WHOSE}}}[5m])",
                            "{{workload}} {{instance}}",
                        )
                    ],
                ),
            ],
        ),
    ]


def _each(series: str, what: str = "") -> Query:
    return Query(f"{series}{_CHOSEN}", f"{_LEGEND} {what}".strip())
