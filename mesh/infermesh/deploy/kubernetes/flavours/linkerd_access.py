"""Linkerd: who may call whom. A Server refuses everybody who is not named for it, or for a route of it."""

import re
from collections.abc import Iterator, Sequence

from infermesh.deploy.callers import callers, entrance, is_open
from infermesh.deploy.kubernetes.objects import Object, labels, made_for
from infermesh.description.read import Description
from infermesh.description.workload import Allowance, Workload

_POLICY = "policy.linkerd.io"

_GATEWAY = "gateway.networking.k8s.io"

#: Whoever has an identity of the mesh.
_ANYBODY: Object = {"identities": ["*"]}


def access(workload: Workload, description: Description, namespace: str) -> Iterator[Object]:
    """What `allow` says of a workload; without it, what `calls` of others say.

    Raises ConfigurationError if some may do this and others that: of several routes that fit, Linkerd asks
    one alone who may use it.
    """
    port = entrance(workload)
    if port is None:
        return
    yield _server(workload, port, namespace)
    who = _who(workload, description, namespace)
    if who is None:
        return
    authentication = made_for(f"{_POLICY}/v1alpha1", "MeshTLSAuthentication", workload.name, namespace)
    yield {**authentication, "spec": who}
    target = {"group": _POLICY, "kind": "Server", "name": workload.name}
    if _is_narrow(workload.allow):
        target = {"group": _GATEWAY, "kind": "HTTPRoute", "name": f"{workload.name}-allowed"}
        yield _route(workload, target["name"], namespace)
    policy = made_for(f"{_POLICY}/v1alpha1", "AuthorizationPolicy", workload.name, namespace)
    reference = {"group": _POLICY, "kind": "MeshTLSAuthentication", "name": workload.name}
    yield {**policy, "spec": {"targetRef": target, "requiredAuthenticationRefs": [reference]}}


def _server(workload: Workload, port: str, namespace: str) -> Object:
    spec = {
        "podSelector": {"matchLabels": labels(workload.name)},
        "port": workload.port(port).number,
        # What an app's callers speak is for the proxy to find out.
        "proxyProtocol": "gRPC" if workload.port(port).protocol == "grpc" else "unknown",
        "accessPolicy": "deny",
    }
    return {**made_for(f"{_POLICY}/v1beta3", "Server", workload.name, namespace), "spec": spec}


def _who(workload: Workload, description: Description, namespace: str) -> Object | None:
    """None: nobody. An app is called by anybody, unless it says otherwise."""
    if workload.allow:
        return _allowed(workload, description, namespace)
    if is_open(workload, description):
        return _ANYBODY
    names = callers(description, workload)
    return {"identityRefs": [_account(name) for name in names]} if names else None


def _allowed(workload: Workload, description: Description, namespace: str) -> Object:
    if _is_narrow(workload.allow) and len({tuple(sorted(it.identities)) for it in workload.allow}) > 1:
        raise description.mistake(
            workload.name,
            "found an `allow` that gives some identities other paths or methods than others, expected the "
            "same for all: Linkerd cannot keep it",
        )
    if not all(it.identities for it in workload.allow):
        return _ANYBODY
    references: list[Object] = []
    others: list[str] = []
    for identity in dict.fromkeys(it for said in workload.allow for it in said.identities):
        name = identity.removeprefix(f"spiffe://{description.mesh.domain}/")
        if name == "*":
            references.append({"kind": "Namespace", "name": namespace})
        elif name != identity and "*" not in name:
            references.append(_account(name))
        elif "*" in identity:
            text = f"found {identity!r} in `allow`, expected whole identities: Linkerd knows no others"
            raise description.mistake(workload.name, text)
        else:
            others.append(identity)
    return {
        **({"identities": others} if others else {}),
        **({"identityRefs": references} if references else {}),
    }


def _account(name: str) -> Object:
    return {"kind": "ServiceAccount", "name": name}


def _is_narrow(allow: Sequence[Allowance]) -> bool:
    return any(it.paths or it.methods for it in allow)


def _route(workload: Workload, name: str, namespace: str) -> Object:
    """What may be asked for; nothing else is answered by a Server that has a route."""
    route = made_for(f"{_GATEWAY}/v1", "HTTPRoute", workload.name, namespace, name=name)
    route["spec"] = {
        "parentRefs": [{"group": _POLICY, "kind": "Server", "name": workload.name}],
        "rules": [{"matches": list(_matches(it))} for it in workload.allow],
    }
    return route


def _matches(allowance: Allowance) -> Iterator[Object]:
    for path in allowance.paths or ["*"]:
        yield from [{"path": _path(path), "method": it} for it in allowance.methods] or [
            {"path": _path(path)}
        ]


def _path(path: str) -> Object:
    if path.endswith("*"):
        return {"type": "RegularExpression", "value": f"{re.escape(path[:-1])}.*"}
    return {"type": "Exact", "value": path}
