"""Consul: who may call whom, as intentions."""

from infermesh.deploy.consul import sources
from infermesh.deploy.kubernetes.objects import Object, made_for
from infermesh.description.read import Description
from infermesh.description.workload import Workload


def intentions(workload: Workload, description: Description, namespace: str) -> Object:
    """What `allow` says of a workload; without it, what `calls` of others say. Anything else is refused.

    Raises ConfigurationError for identities that Consul has no name for.
    """
    found = made_for("consul.hashicorp.com/v1alpha1", "ServiceIntentions", workload.name, namespace)
    found["spec"] = {"destination": {"name": workload.name}, "sources": sources(workload, description)}
    return found
