"""Whom a GRPCRoute of the Gateway API leads to."""

from infermesh.deploy.kubernetes.objects import Object
from infermesh.deploy.weights import weights
from infermesh.description.workload import GRPC, Workload


def backends(workload: Workload) -> list[Object]:
    """The Service of a workload, with those that take a share of its requests."""
    port = workload.port(GRPC).number
    if not (found := weights(workload)):
        return [{"name": workload.name, "port": port}]
    return [{"name": name, "port": port, "weight": weight} for name, weight in found.items()]
