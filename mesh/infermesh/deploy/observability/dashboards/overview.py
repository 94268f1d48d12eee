"""The mesh as a whole: each workload against its objective, and what is told of."""

from infermesh.deploy.observability.dashboards import panels
from infermesh.deploy.observability.dashboards.panels import WHOSE, Object, Panel, Query, Row
from infermesh.deploy.observability.expectations import ERROR_BUDGET, LATENCY, WORKLOAD

_LEGEND = "{{workload}} ({{view}})"
_FIRING = 'alertname=~"Infermesh.+", alertstate="firing"'
_MATCH = "on (mesh, namespace, workload)"


def _rows() -> list[Row]:
    return [
        Row(
            "Now",
            [
                Panel("Workloads", "none", [Query(f"count({WORKLOAD}{{{WHOSE}}})", "expected")], kind="stat"),
                Panel("Instances that answer", "none", [Query(_of_mesh("sum", "up"), "up")], kind="stat"),
                Panel(
                    "Instances that do not",
                    "none",
                    [Query(f"count((up == 0) and {_MATCH} {WORKLOAD}{{{WHOSE}}}) or vector(0)", "down")],
                    kind="stat",
                    bad_from=1,
                ),
                Panel(
                    "Alerts",
                    "none",
                    [
                        Query(
                            f"count(ALERTS{{{_FIRING}, {WHOSE}}}) or vector(0)",
                            "firing",
                        )
                    ],
                    kind="stat",
                    bad_from=1,
                ),
            ],
        ),
        Row(
            "Rate, errors, duration",
            [
                Panel(
                    "Requests", "reqps", [Query(f"workload:infermesh_requests:rate5m{{{WHOSE}}}", _LEGEND)]
                ),
                Panel(
                    "Failures",
                    "percentunit",
                    [Query(f"workload:infermesh_error_ratio:rate5m{{{WHOSE}}}", _LEGEND)],
                    "Share of the requests that somebody else than their caller has to mend.",
                ),
                Panel(
                    "99th percentile",
                    "s",
                    [
                        Query(f"workload:infermesh_request_duration_seconds:p99_5m{{{WHOSE}}}", _LEGEND),
                        Query(f"{LATENCY}{{{WHOSE}}}", "{{workload}} objective"),
                    ],
                ),
            ],
        ),
        Row(
            "Error budget",
            [
                Panel(
                    "Burn rate, an hour",
                    "none",
                    [Query(_burn("1h"), _LEGEND)],
                    "Times faster than the objective allows; at 14.4 a month's budget lasts two days.",
                    bad_from=14.4,
                ),
                Panel("Burn rate, six hours", "none", [Query(_burn("6h"), _LEGEND)], bad_from=6),
                Panel("Burn rate, three days", "none", [Query(_burn("3d"), _LEGEND)], bad_from=1),
            ],
        ),
    ]


def dashboard() -> Object:
    """The dashboard."""
    return panels.dashboard("infermesh-overview", "infermesh: overview", panels.whose(WORKLOAD), _rows())


def _of_mesh(how: str, series: str) -> str:
    return f"{how}({series} and {_MATCH} {WORKLOAD}{{{WHOSE}}})"


def _burn(window: str) -> str:
    ratio = f"workload:infermesh_error_ratio:rate{window}{{{WHOSE}}}"
    return f"{ratio} / {_MATCH} group_left () {ERROR_BUDGET}"
