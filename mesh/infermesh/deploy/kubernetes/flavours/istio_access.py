"""Istio: who may call whom."""

from collections.abc import Iterator

from infermesh.deploy.callers import callers, is_open, is_outside
from infermesh.deploy.kubernetes.objects import Object, labels, made, made_for
from infermesh.description.read import Description
from infermesh.description.workload import Port, Workload

_API = "security.istio.io/v1"

#: What callers of models need: the protocol, and gRPC's own question of who is well.
_MODELS = ["/inference.GRPCInferenceService/*", "/grpc.health.v1.Health/*"]


def peer_authentication(namespace: str, *, mutual: bool) -> Object:
    """Whether plaintext is refused in the namespace."""
    found = made(_API, "PeerAuthentication", "default", namespace)
    return {**found, "spec": {"mtls": {"mode": "STRICT" if mutual else "DISABLE"}}}


def authorization_policy(workload: Workload, description: Description, namespace: str) -> Object:
    """What `allow` says of a workload; without it, what `calls` of others say. Anything else is refused."""
    found = made_for(_API, "AuthorizationPolicy", workload.name, namespace)
    found["spec"] = {
        "selector": {"matchLabels": labels(workload.name)},
        "action": "ALLOW",
        "rules": list(_rules(workload, description, namespace)),
    }
    return found


def _rules(workload: Workload, description: Description, namespace: str) -> Iterator[Object]:
    ports = [port for port in workload.ports if port.audience == "mesh"]
    for said in workload.allow:
        principals = [_principal(it, description.mesh.domain, namespace) for it in said.identities]
        operation = {
            "ports": [str(port.number) for port in ports],
            **({"paths": list(said.paths)} if said.paths else {}),
            **({"methods": list(said.methods)} if said.methods else {}),
        }
        sources = {"from": [{"source": {"principals": principals}}]} if principals else {}
        yield {**sources, "to": [{"operation": operation}]}
    if not workload.allow and (source := _callers(workload, description, namespace)):
        yield {"from": [{"source": source}], "to": [_port(port) for port in ports]}


def _callers(workload: Workload, description: Description, namespace: str) -> Object:
    """Nothing: nobody, as a policy without a rule has it."""
    if is_outside(workload, description):
        # Whichever gateway the cluster has, if it is of the mesh.
        return {"principals": ["*"]}
    if is_open(workload, description):
        return {"namespaces": [namespace]}
    names = callers(description, workload)
    return {"principals": [_account(name, namespace) for name in names]} if names else {}


def _port(port: Port) -> Object:
    paths = {"paths": _MODELS} if port.protocol == "grpc" else {}
    return {"operation": {"ports": [str(port.number)], **paths}}


def _principal(identity: str, domain: str, namespace: str) -> str:
    """A SPIFFE id as Istio writes it: those of this mesh are accounts of the namespace."""
    name = identity.removeprefix(f"spiffe://{domain}/")
    return _account(name, namespace) if name != identity else identity.removeprefix("spiffe://")


def _account(name: str, namespace: str) -> str:
    # Istio takes cluster.local for its own trust domain, whatever that is.
    return f"cluster.local/ns/{namespace}/sa/{name}"
