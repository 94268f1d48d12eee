"""The collector's configuration."""

from infermesh.deploy.observability import collector
from infermesh.description.read import Description


def test_the_pipeline_is_of_what_there_is(description: Description) -> None:
    found = collector.configuration(description, "https://traces.example:4318")
    pipeline = found["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert sorted(pipeline[kind]) == sorted(found[kind])
    assert pipeline["processors"][0] == "memory_limiter"
    assert pipeline["processors"][-1] == "batch"
    assert found["exporters"]["otlp_http"]["endpoint"] == "https://traces.example:4318"


def test_what_failed_and_what_was_slow_is_kept(description: Description) -> None:
    sampling = collector.configuration(description)["processors"]["tail_sampling"]
    kinds = {policy["name"]: policy["type"] for policy in sampling["policies"]}
    assert kinds == {"failed": "status_code", "slow": "latency", "ordinary": "probabilistic"}
    slow = next(policy for policy in sampling["policies"] if policy["name"] == "slow")
    # The strictest objective: half of what callers of `fraud` wait.
    assert slow["latency"]["threshold_ms"] == 200
    # Longer than the longest request.
    assert sampling["decision_wait"] == "10.4s"
