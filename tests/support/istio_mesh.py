"""Pods of a rendered server with Istio's proxies before them, and the proxy of somebody who calls them."""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infermesh.identity.authority import Authority
from infermesh_perf.processes import free_ports

from support import identities, istio, istio_objects
from support.client import Client
from support.kubernetes_render import NAMESPACE, Manifests, rendered

DOMAIN = "cluster.local"

MESH = """
name: checkout
servers:
  fraud:
    models: models
    timeout: 20s
    placement: {replicas: 3}
apps:
  shop: {image: "registry.example/shop:1", port: 8070, calls: fraud}
  worker: {image: "registry.example/worker:1", port: 8071, calls: []}
"""

_FRAUD = "fraud"

CANARY = "fraud-canary"

_Resources = dict[str, list[dict[str, object]]]

#: The Service's own port.
_GRPC = 8001


@dataclass(frozen=True)
class IstioMesh:
    """The proxies while they run."""

    manifests: Manifests
    #: The ports of the Pods' proxies.
    pods: Sequence[int]
    #: And of the canary's.
    canary_pods: Sequence[int]
    #: The identities of the app that calls.
    identity: Path
    #: The port where its proxy takes what it calls.
    outbound: int
    _admins: Mapping[str, int]

    def counters(self, side: str) -> Mapping[str, int]:
        """What the proxies of one side have counted."""
        return istio.counters(self._admins[side])

    def client(self, name: str = _FRAUD) -> Client:
        """Calls a server by the name of its Service."""
        return Client(f"127.0.0.1:{self.outbound}", ("grpc.default_authority", name))


@contextmanager
def istio_mesh(
    folder: Path,
    upstreams: Sequence[int],
    mesh: str = MESH,
    *,
    caller: str = "shop",
    servers: str = _FRAUD,
    gone: int = 0,
    canary: Sequence[int] = (),
) -> Iterator[IstioMesh]:
    """The mesh for as long as the block lasts; `upstreams` are in its Pods, whose account is `servers`.

    So many more Pods are `gone`: nobody listens there. `canary` are in the Pods of the server's canary.
    """
    manifests = rendered(folder / "rendered", "istio", mesh)
    authority = Authority.create(DOMAIN, datetime.datetime.now(datetime.UTC))
    ours = identities.issue(authority, folder, _account(caller))
    outbound, *free = free_ports(1 + len(upstreams) + gone + len(canary))
    pods, canary_pods = free[: len(upstreams) + gone], free[len(upstreams) + gone :]
    called = {_FRAUD: pods, **({CANARY: canary_pods} if canary else {})}
    near = _joined(
        _inbound(
            manifests,
            name,
            identities.issue(authority, folder, _account(account)),
            dict(zip(called[name], there, strict=False)),
        )
        for name, account, there in ((_FRAUD, servers, upstreams), (CANARY, CANARY, canary))
        if name in called
    )
    with (
        istio.running("inbound", near, folder) as inbound,
        istio.running("outbound", _outbound(manifests, ours, outbound, called), folder) as far,
    ):
        admins = {"inbound": inbound, "outbound": far}
        yield IstioMesh(manifests, pods, canary_pods, ours, outbound, admins)


def _inbound(manifests: Manifests, name: str, identity: Path, pods: Mapping[int, int]) -> _Resources:
    assert istio_objects.wants_identities(manifests.one("PeerAuthentication", "default"))
    tls = istio.accepts(identity, {"prefix": f"spiffe://{DOMAIN}/"})
    policy = manifests.one("AuthorizationPolicy", name)
    return {
        "listeners": [
            istio.listener(
                f"pod-{port}",
                port,
                [_to_the_app(f"app-{port}")],
                tls=tls,
                filters=[istio_objects.authorization(policy, {_GRPC: port})],
            )
            for port in pods
        ],
        "clusters": [istio.cluster(f"app-{port}", [upstream]) for port, upstream in pods.items()],
    }


def _joined(several: Iterable[_Resources]) -> _Resources:
    found: _Resources = {"listeners": [], "clusters": []}
    for it in several:
        found = {kind: [*there, *it[kind]] for kind, there in found.items()}
    return found


def _to_the_app(cluster: str) -> dict[str, object]:
    # By itself it tries again what has not been sent.
    retry = {"retry_on": "reset-before-request", "num_retries": 2}
    route = istio.everything({"cluster": cluster, "timeout": "0s", "retry_policy": retry})
    return {"name": cluster, "domains": ["*"], "routes": [route]}


def _outbound(
    manifests: Manifests, identity: Path, port: int, called: Mapping[str, Sequence[int]]
) -> _Resources:
    hosts = [istio_objects.virtual_host(manifests.one("VirtualService", name), NAMESPACE) for name in called]
    return {
        "listeners": [istio.listener("outbound", port, hosts)],
        "clusters": [_cluster(manifests, name, identity, pods) for name, pods in called.items()],
    }


def _cluster(manifests: Manifests, name: str, identity: Path, pods: Sequence[int]) -> dict[str, object]:
    servers = {"exact": f"spiffe://{DOMAIN}/{_account(name)}"}
    rule = manifests.one("DestinationRule", name)
    return istio_objects.cluster(rule, pods, istio.presents(identity, servers))


def _account(name: str) -> str:
    return f"ns/{NAMESPACE}/sa/{name}"
