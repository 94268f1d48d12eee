"""What somebody has to be told of. docs/operations.md has a section for each."""

from collections.abc import Iterator

from infermesh.deploy.observability.expectations import CALL, ERROR_BUDGET, LATENCY, MODEL, WORKLOAD
from infermesh.deploy.observability.rule import WHOSE, Object, group, rate

#: Where the runbook is, unless it is published elsewhere.
RUNBOOK = "docs/operations.md"

_BURNT = "{{ $value | humanizePercentage }} of the requests to {{ $labels.workload }} fail"
_SEEN_BY = '{{ if eq $labels.view "own" }}itself{{ else }}its callers{{ end }}'
_MODEL = "model {{ $labels.model }} of {{ $labels.workload }}"
_UPSTREAM = "{{ $labels.cluster }}, as {{ $labels.workload }} calls it"
_ROUTE = "{{ $labels.listener }}/{{ $labels.route }} of {{ $labels.workload }}"
_INSTANCE = "{{ $labels.instance }} of {{ $labels.workload }}"

#: How many times faster than it may the budget is used up, in a long window and still in a short one; and how
#: urgent that is. At 14.4 a month's budget lasts two days, at 6 five, at 1 it is used up when the month ends.
BURN_RATES = (
    ("Fast", 14.4, "1h", "5m", "critical"),
    ("Steady", 6, "6h", "30m", "critical"),
    ("Slow", 1, "3d", "6h", "warning"),
)


def alerts(runbook: str = RUNBOOK) -> list[Object]:
    """Groups of rules, the same for every mesh; `runbook` is the path or URL of docs/operations.md."""
    found = {
        "infermesh-objectives": _objectives(),
        "infermesh-presence": _presence(),
        "infermesh-servers": _servers(),
        "infermesh-sidecars": _sidecars(),
        "infermesh-processes": _processes(),
    }
    return [
        group(f"{name}-alerts", [_with_runbook(rule, runbook) for rule in rules])
        for name, rules in found.items()
    ]


def _with_runbook(rule: Object, runbook: str) -> Object:
    link = f"{runbook}#{rule['alert'].lower()}"
    return {**rule, "annotations": {**rule["annotations"], "runbook_url": link}}


def _alert(name: str, expression: str, lasts: str, severity: str, summary: str, description: str) -> Object:
    return {
        "alert": f"Infermesh{name}",
        "expr": expression,
        "for": lasts,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description},
    }


def _objectives() -> Iterator[Object]:
    ratio = "workload:infermesh_error_ratio:rate"
    for speed, factor, long, short, severity in BURN_RATES:
        budget = f"on ({WHOSE}) group_left () ({factor} * {ERROR_BUDGET})"
        yield _alert(
            f"ErrorBudgetBurns{speed}",
            f"{ratio}{long} > {budget}\nand\n{ratio}{short} > {budget}",
            "2m" if short == "5m" else "15m",
            severity,
            f"{_BURNT} ({long})",
            f"That is more than {factor} times what its objective allows, in the last {long} and still in "
            f"the last {short}; seen by {_SEEN_BY}.",
        )
    yield _alert(
        "LatencyAboveObjective",
        f"workload:infermesh_request_duration_seconds:p99_5m\n> on ({WHOSE}) group_left () {LATENCY}",
        "10m",
        "warning",
        "One of a hundred requests to {{ $labels.workload }} takes {{ $value | humanizeDuration }} or more",
        "That is longer than its objective, or than half of the timeout after which callers give up; seen by "
        f"{_SEEN_BY}.",
    )


def _presence() -> Iterator[Object]:
    yield _alert(
        "WorkloadMissing",
        f"{WORKLOAD} unless on ({WHOSE}) up",
        "5m",
        "critical",
        "Nothing of {{ $labels.workload }} is found",
        "mesh.yaml has it, and no target of Prometheus belongs to it: it is not run, or not discovered.",
    )
    yield _alert(
        "InstanceDown",
        f"up == 0 and on ({WHOSE}) {WORKLOAD}",
        "2m",
        "critical",
        f"{_INSTANCE} does not answer",
        "Its metrics cannot be scraped: the process is gone, hangs, or is not reached from Prometheus.",
    )
    yield _alert(
        "Restarts",
        f"changes(process_start_time_seconds[30m]) > 2 and on ({WHOSE}) {WORKLOAD}",
        "0m",
        "warning",
        f"{_INSTANCE} has started {{{{ $value }}}} times in half an hour",
        "It ends again and again, or is ended.",
    )


def _servers() -> Iterator[Object]:
    by = f"{WHOSE}, model"
    up = f"count by ({WHOSE}) (up == 1)"
    ready = "model:infermesh_ready_instances:count"
    yield _alert(
        "ModelNotReady",
        f"(({ready} and on ({by}) {MODEL}) or on ({by}) {MODEL} * 0)\n< on ({WHOSE}) group_left () {up}",
        "10m",
        "critical",
        f"Instances that have {_MODEL} ready: {{{{ $value }}}}",
        "mesh.yaml has it, and instances that are up do not serve it: it has failed to load, or still loads.",
    )
    pending = "model:infermesh_pending_requests:sum"
    yield _alert(
        "QueueGrows",
        f"deriv({pending}[10m]) > 0\nand min_over_time({pending}[10m]) > 0\n"
        "and model:infermesh_queue_share:rate5m > 0.5",
        "5m",
        "warning",
        f"The queue of {_MODEL} grows",
        "For ten minutes it has not been empty, and requests wait longer than they are worked on: more come "
        "than it can answer.",
    )
    yield _alert(
        "GpuMemoryFull",
        "nv_gpu_memory_used_bytes / nv_gpu_memory_total_bytes > 0.95",
        "10m",
        "warning",
        f"{{{{ $value | humanizePercentage }}}} of the memory of a GPU of {_INSTANCE} is in use",
        "GPU {{ $labels.gpu_uuid }}: the next model, or the next larger batch, may not find room.",
    )


def _sidecars() -> Iterator[Object]:
    yield _alert(
        "SidecarNotReady",
        "infermesh_proxy_ready == 0",
        "5m",
        "warning",
        f"{_INSTANCE} wants no requests",
        "Its sidecar runs and says that it is not ready: it waits for the app or an identity, or it ends.",
    )
    yield _alert(
        "NoEndpoints",
        f"upstream:infermesh_proxy_endpoints_available:min == 0\nor\n({CALL} unless on ({WHOSE}, cluster) "
        f"upstream:infermesh_proxy_endpoints_available:min) * 0 and on ({WHOSE}) up == 1",
        "1m",
        "critical",
        f"There is nobody to ask at {_UPSTREAM}",
        "Every endpoint is ill, left alone by its breaker, or none is known: each request fails.",
    )
    yield _alert(
        "BreakerOpen",
        "upstream:infermesh_proxy_breakers_open:sum > 0",
        "5m",
        "warning",
        f"Open breakers towards {_UPSTREAM}: {{{{ $value }}}}",
        "Some endpoints have failed so often that they get no requests but probes.",
    )
    yield _alert(
        "RequestsRefused",
        "route:infermesh_proxy_refused_ratio:rate5m > 0.05",
        "10m",
        "warning",
        f"{{{{ $value | humanizePercentage }}}} of the requests to {_ROUTE} are not let in",
        "Limits of rate or concurrency, or admission control, refuse them.",
    )
    yield _alert(
        "RetryBudgetSpent",
        rate('infermesh_proxy_retries_refused_total{reason="budget"}', f"{WHOSE}, listener, route") + " > 0",
        "10m",
        "warning",
        f"Failures of {_ROUTE} are not tried again any more",
        "So many requests fail that trying again would be a load of its own; the budget for it is spent.",
    )
    ends = "infermesh_proxy_certificate_expiration_timestamp_seconds"
    yield _alert(
        "CertificateEnds",
        f'{ends}{{role="identity"}} - time() < 6 * 3600 or {ends}{{role="authority"}} - time() < 14 * 86400',
        "15m",
        "critical",
        f"A certificate of {_INSTANCE} ends in {{{{ $value | humanizeDuration }}}}",
        "{{ $labels.subject }} ({{ $labels.role }}) was not renewed in time; once it ends, nobody trusts it.",
    )
    yield _alert(
        "HandshakesFail",
        rate('infermesh_proxy_tls_handshakes_total{result!~"done|without_tls"}', f"{WHOSE}, side, result")
        + " > 0.05",
        "10m",
        "warning",
        "TLS handshakes of {{ $labels.workload }} fail ({{ $labels.side }}, {{ $labels.result }})",
        "A peer has no identity of this mesh, one that has ended, or does not trust ours.",
    )


def _processes() -> Iterator[Object]:
    lost = [
        f"rate(infermesh_{of}{what}_dropped_total[10m]) > 0"
        for of in ("", "proxy_")
        for what in ("spans", "log_records")
    ]
    yield _alert(
        "TelemetryLost",
        "\nor\n".join([*lost, "rate(infermesh_proxy_captures_dropped_total[10m]) > 0"]),
        "15m",
        "warning",
        f"{_INSTANCE} loses spans, log records or captures",
        "They come faster than they are taken; requests are not slowed down by that.",
    )
    yield _alert(
        "FewFileDescriptors",
        f"process_open_fds / process_max_fds > 0.8 and on ({WHOSE}) {WORKLOAD}",
        "10m",
        "warning",
        f"{_INSTANCE} has {{{{ $value | humanizePercentage }}}} of its file descriptors in use",
        "Each connection takes one; without any, new ones are refused.",
    )
