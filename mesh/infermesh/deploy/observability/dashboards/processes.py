"""Processes, the machines that they are on, and GPUs."""

from infermesh.deploy.observability.dashboards import panels
from infermesh.deploy.observability.dashboards.panels import WHOSE, Object, Panel, Query, Row
from infermesh.deploy.observability.expectations import WORKLOAD

_CHOSEN = f"{{{WHOSE}}}"
_INSTANCE = "{{workload}} {{instance}}"
_GPU = "{{instance}} {{gpu_uuid}}"


def dashboard() -> Object:
    """The dashboard."""
    return panels.dashboard(
        "infermesh-processes", "infermesh: processes and GPUs", panels.whose(WORKLOAD), _rows()
    )


def _rows() -> list[Row]:
    return [
        Row(
            "Processes",
            [
                Panel(
                    "CPU",
                    "none",
                    [Query(f"rate(process_cpu_seconds_total{_CHOSEN}[5m])", _INSTANCE)],
                    "Cores.",
                ),
                Panel("Memory", "bytes", [_each("process_resident_memory_bytes")]),
                Panel("File descriptors", "none", [_each("process_open_fds")]),
                Panel("Age", "s", [Query(f"time() - process_start_time_seconds{_CHOSEN}", _INSTANCE)]),
            ],
        ),
        Row(
            "Connections and telemetry",
            [
                Panel(
                    "Connections",
                    "none",
                    [_each("infermesh_connections"), _each("infermesh_proxy_connections")],
                ),
                Panel("Bodies kept for retries", "bytes", [_each("infermesh_proxy_replay_bytes")]),
                Panel(
                    "Lost: spans, log records, captures, live requests",
                    "ops",
                    [
                        Query(f"rate({series}{_CHOSEN}[5m]) > 0", f"{_INSTANCE} {what}")
                        for series, what in (
                            ("infermesh_spans_dropped_total", "spans"),
                            ("infermesh_proxy_spans_dropped_total", "spans"),
                            ("infermesh_log_records_dropped_total", "log"),
                            ("infermesh_proxy_log_records_dropped_total", "log"),
                            ("infermesh_proxy_captures_dropped_total", "captures"),
                            ("infermesh_proxy_tap_events_dropped_total", "live"),
                        )
                    ],
                ),
            ],
        ),
        Row(
            "GPUs",
            [
                Panel("Utilization", "percentunit", [Query(f"nv_gpu_utilization{_CHOSEN}", _GPU)]),
                Panel(
                    "Memory",
                    "bytes",
                    [
                        Query(f"nv_gpu_memory_used_bytes{_CHOSEN}", _GPU),
                        Query(f"nv_gpu_memory_total_bytes{_CHOSEN}", f"{_GPU} total"),
                    ],
                ),
                Panel("Power", "watt", [Query(f"nv_gpu_power_usage{_CHOSEN}", _GPU)]),
            ],
        ),
        Row(
            "Machines of model servers",
            [
                Panel("CPU", "percentunit", [Query(f"nv_cpu_utilization{_CHOSEN}", _INSTANCE)]),
                Panel(
                    "Memory in use",
                    "percentunit",
                    [
                        Query(
                            f"nv_cpu_memory_used_bytes{_CHOSEN} / nv_cpu_memory_total_bytes{_CHOSEN}",
                            _INSTANCE,
                        )
                    ],
                ),
            ],
        ),
    ]


def _each(series: str) -> Query:
    return Query(f"{series}{_CHOSEN}", _INSTANCE)
