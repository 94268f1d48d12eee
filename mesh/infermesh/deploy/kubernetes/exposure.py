"""What is called from outside: an Ingress for HTTP, a GRPCRoute of the Gateway API for gRPC."""

from collections.abc import Iterator

from infermesh.deploy.kubernetes.backends import backends
from infermesh.deploy.kubernetes.objects import NOT_KEPT, Object, made_for
from infermesh.deploy.kubernetes.services import port_name
from infermesh.description.workload import Port, Workload

#: The Gateway, in the same namespace, that a GRPCRoute belongs to. It is the operators'.
GATEWAY = "infermesh"


def exposure(workload: Workload, namespace: str) -> Iterator[Object]:
    """The ways in, if there is a host that it is called by."""
    if workload.exposed is None:
        return
    for port in workload.ports:
        if port.audience == "mesh":
            if port.protocol == "grpc":
                yield _grpc_route(workload, workload.exposed, namespace)
            else:
                yield _ingress(workload, port, workload.exposed, namespace)


def _ingress(workload: Workload, port: Port, host: str, namespace: str) -> Object:
    # An Ingress has no weights: all that comes by it goes to the main one.
    not_kept = {NOT_KEPT: "split"} if workload.split else {}
    found = made_for("networking.k8s.io/v1", "Ingress", workload.name, namespace, not_kept)
    backend = {"service": {"name": workload.name, "port": {"name": port_name(port)}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    found["spec"] = {
        "tls": [{"hosts": [host], "secretName": f"{workload.name}-tls"}],
        "rules": [{"host": host, "http": {"paths": paths}}],
    }
    return found


def _grpc_route(workload: Workload, host: str, namespace: str) -> Object:
    name = f"{workload.name}-outside"
    found = made_for("gateway.networking.k8s.io/v1", "GRPCRoute", workload.name, namespace, name=name)
    found["spec"] = {
        "parentRefs": [{"name": GATEWAY}],
        "hostnames": [host],
        "rules": [{"backendRefs": backends(workload)}],
    }
    return found
