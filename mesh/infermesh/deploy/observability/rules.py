"""All rules of a mesh."""

from infermesh.deploy.observability import recording
from infermesh.deploy.observability.alerts import RUNBOOK, alerts
from infermesh.deploy.observability.expectations import expectations
from infermesh.deploy.observability.rule import Object
from infermesh.deploy.observability.scope import narrowed
from infermesh.description.read import Description


def rules(description: Description, namespace: str | None = None, runbook: str = RUNBOOK) -> Object:
    """A file of rules: what should be there, what is recorded, what is told."""
    measured = narrowed([*recording.groups(), *alerts(runbook)], description.mesh.name, namespace)
    return {"groups": [expectations(description, namespace), *measured]}
