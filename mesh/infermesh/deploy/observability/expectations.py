"""What mesh.yaml says should be there, as series that the rest is held against."""

from collections.abc import Iterator

from infermesh.deploy.observability.rule import Object, group, record
from infermesh.description.read import Description
from infermesh.description.workload import Workload

WORKLOAD, MODEL, CALL = (f"infermesh:expected_{what}" for what in ("workload", "model", "call"))
ERROR_BUDGET = "infermesh:error_budget:ratio"
LATENCY = "infermesh:latency_objective:seconds"


def expectations(description: Description, namespace: str | None) -> Object:
    """A group of rules, whose series carry the labels that targets in this namespace have."""
    where = {"mesh": description.mesh.name, **({"namespace": namespace} if namespace else {})}
    rules = [
        rule for workload in description.workloads.values() for rule in _of(workload, description, where)
    ]
    return group("infermesh-expectations", rules)


def _of(workload: Workload, description: Description, where: dict[str, str]) -> Iterator[Object]:
    whose = {**where, "workload": workload.name}
    yield record(WORKLOAD, "vector(1)", **whose, kind=workload.kind)
    for model in workload.models:
        yield record(MODEL, "vector(1)", **whose, model=model)
    for called in workload.calls:
        if called in description.workloads:
            yield record(CALL, "vector(1)", **whose, cluster=called)
    yield record(ERROR_BUDGET, f"vector({1 - workload.objective.success:.10g})", **whose)
    policies = workload.policies
    latency = workload.objective.within(policies.timeout if policies is not None else None)
    if latency is not None:
        yield record(LATENCY, f"vector({latency.total_seconds():g})", **whose)
