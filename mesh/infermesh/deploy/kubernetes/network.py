"""NetworkPolicies: nobody reaches a Pod of the namespace who is not named here."""

from collections.abc import Iterator, Sequence

from infermesh.deploy.callers import callers, is_open, is_outside
from infermesh.deploy.kubernetes.flavour import Flavour
from infermesh.deploy.kubernetes.objects import Object, labels, made, made_for
from infermesh.description.read import Description
from infermesh.description.workload import Workload

_API = "networking.k8s.io/v1"


def nobody(namespace: str) -> Object:
    """What holds where nothing else is said."""
    return {
        **made(_API, "NetworkPolicy", "infermesh-nobody", namespace),
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }


def network_policy(
    workload: Workload, description: Description, namespace: str, flavour: Flavour, monitoring: str
) -> Object:
    """Who reaches a workload: its callers, Prometheus, and anybody if it is exposed."""
    found = made_for(_API, "NetworkPolicy", workload.name, namespace)
    found["spec"] = {
        "podSelector": {"matchLabels": labels(workload.name)},
        "policyTypes": ["Ingress"],
        "ingress": list(_rules(workload, description, flavour, monitoring)),
    }
    return found


def _rules(
    workload: Workload, description: Description, flavour: Flavour, monitoring: str
) -> Iterator[Object]:
    for_mesh = [port.number for port in workload.ports if port.audience == "mesh"]
    for_operators = [port.number for port in workload.ports if port.audience == "operators"]
    # No peers would stand for all of them.
    if for_mesh and (peers := _peers(workload, description)):
        yield _rule([*for_mesh, *flavour.peer_ports], peers)
    if for_operators:
        where = {"matchLabels": {"kubernetes.io/metadata.name": monitoring}}
        yield _rule(for_operators, [{"namespaceSelector": where}])


def _peers(workload: Workload, description: Description) -> list[Object]:
    if is_outside(workload, description):
        # Where gateways run is not known here, and nobody else's business than the cluster's.
        return [{"namespaceSelector": {}}]
    if is_open(workload, description):
        # Everybody of the mesh, as far as `allow` allows it.
        return [{"podSelector": {}}]
    return [{"podSelector": {"matchLabels": labels(it)}} for it in callers(description, workload)]


def _rule(ports: Sequence[int], peers: Sequence[Object]) -> Object:
    return {"from": list(peers), "ports": [{"protocol": "TCP", "port": port} for port in ports]}
