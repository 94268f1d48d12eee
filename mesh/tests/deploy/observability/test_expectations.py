"""What mesh.yaml promises, as series."""

from infermesh.deploy.observability.expectations import expectations
from infermesh.description.read import Description


def found(
    description: Description, namespace: str | None = None
) -> dict[str, list[tuple[str, dict[str, str]]]]:
    series: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for rule in expectations(description, namespace)["rules"]:
        series.setdefault(rule["record"], []).append((rule["expr"], rule["labels"]))
    return series


def test_who_is_expected(description: Description) -> None:
    labels = [labels for _, labels in found(description)["infermesh:expected_workload"]]
    assert labels == [
        {"mesh": "shop", "workload": "fraud", "kind": "server"},
        {"mesh": "shop", "workload": "slow", "kind": "server"},
        {"mesh": "shop", "workload": "checkout", "kind": "app"},
    ]


def test_models_and_calls(description: Description) -> None:
    series = found(description)
    models = [(labels["workload"], labels["model"]) for _, labels in series["infermesh:expected_model"]]
    assert models == [("fraud", "scores"), ("slow", "vision")]
    calls = [(labels["workload"], labels["cluster"]) for _, labels in series["infermesh:expected_call"]]
    assert calls == [("checkout", "fraud")]


def test_what_is_promised(description: Description) -> None:
    series = found(description)
    budgets = {labels["workload"]: rule for rule, labels in series["infermesh:error_budget:ratio"]}
    assert budgets == {"fraud": "vector(0.001)", "slow": "vector(0.001)", "checkout": "vector(0.01)"}
    latencies = {labels["workload"]: rule for rule, labels in series["infermesh:latency_objective:seconds"]}
    # Half of what callers wait; what is said; nothing where neither is.
    assert latencies == {"fraud": "vector(0.2)", "checkout": "vector(1.5)"}


def test_targets_of_a_cluster_have_a_namespace_and_so_has_what_they_are_held_against(
    description: Description,
) -> None:
    series = found(description, "prod")
    assert {labels["namespace"] for all_ in series.values() for _, labels in all_} == {"prod"}
