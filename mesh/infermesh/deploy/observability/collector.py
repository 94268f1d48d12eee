"""Configuration of an OpenTelemetry collector: traces come in, those worth looking at go on."""

from datetime import timedelta

from infermesh.deploy.observability.rule import Object
from infermesh.description.read import Description

#: A variable of the collector's environment, for where traces go.
DESTINATION = "${env:TRACES_ENDPOINT}"

#: Where nothing is promised, slower than this is slow.
SLOW = timedelta(milliseconds=500)

#: Share of the traces that are neither slow nor failed.
ORDINARY_PERCENT = 5

#: What a trace may need beyond the longest timeout until its last span is here: exporters wait 5 s.
_LATE = timedelta(seconds=10)


def configuration(description: Description, destination: str = DESTINATION) -> Object:
    """Of a collector with the tail sampling processor; `destination` is a base URL for OTLP over HTTP."""
    return {
        "receivers": {
            "otlp": {
                "protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}, "http": {"endpoint": "0.0.0.0:4318"}}
            }
        },
        "processors": {
            # First, so that it refuses what there is no room for, and senders try again.
            "memory_limiter": {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20},
            "tail_sampling": _sampling(description),
            "batch": {"send_batch_size": 512, "send_batch_max_size": 2048, "timeout": "1s"},
        },
        "exporters": {
            "otlp_http": {
                "endpoint": destination,
                "compression": "gzip",
                "retry_on_failure": {"enabled": True, "max_elapsed_time": "5m"},
                "sending_queue": {"enabled": True, "queue_size": 1000},
            }
        },
        "service": {
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "tail_sampling", "batch"],
                    "exporters": ["otlp_http"],
                }
            }
        },
    }


def _sampling(description: Description) -> Object:
    policies = [it.policies for it in description.workloads.values() if it.policies is not None]
    timeouts = [it.timeout for it in policies if it.timeout]
    wait = max(timeouts, default=timedelta()) + _LATE
    return {
        "decision_wait": f"{wait.total_seconds():g}s",
        "num_traces": 50_000,
        "policies": [
            {"name": "failed", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
            {"name": "slow", "type": "latency", "latency": {"threshold_ms": _slow_ms(description)}},
            {
                "name": "ordinary",
                "type": "probabilistic",
                "probabilistic": {"sampling_percentage": ORDINARY_PERCENT},
            },
        ],
    }


def _slow_ms(description: Description) -> int:
    """What the strictest objective takes for slow: a trace is as long as its longest request."""
    promised = [
        latency
        for workload in description.workloads.values()
        if (latency := workload.objective.within(workload.policies.timeout if workload.policies else None))
    ]
    return max(1, int(min(promised, default=SLOW).total_seconds() * 1000))
