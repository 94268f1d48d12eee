"""Pods of one rendered server with Istio's proxies before them, and the proxy of somebody who calls them."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
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

#: The Service's own port.
_GRPC = 8001


@dataclass(frozen=True)
class IstioMesh:
    """The proxies while they run."""

    manifests: Manifests
    #: The ports of the Pods' proxies.
    pods: Sequence[int]
    #: The identities of the app that calls.
    identity: Path
    #: The port where its proxy takes what it calls.
    outbound: int
    _admins: Mapping[str, int]

    def counters(self, side: str) -> Mapping[str, int]:
        """What the proxies of one side have counted."""
        return istio.counters(self._admins[side])

    def client(self) -> Client:
        """Calls the server by the name of its Service."""
        return Client(f"127.0.0.1:{self.outbound}", ("grpc.default_authority", _FRAUD))


@contextmanager
def istio_mesh(
    folder: Path,
    upstreams: Sequence[int],
    mesh: str = MESH,
    *,
    caller: str = "shop",
    servers: str = _FRAUD,
    gone: int = 0,
) -> Iterator[IstioMesh]:
    """The mesh for as long as the block lasts; `upstreams` are in its Pods, whose account is `servers`.

    So many more Pods are `gone`: nobody listens there.
    """
    manifests = rendered(folder / "rendered", "istio", mesh)
    authority = Authority.create(DOMAIN, datetime.datetime.now(datetime.UTC))
    ours, theirs = (identities.issue(authority, folder, _account(name)) for name in (caller, servers))
    outbound, *pods = free_ports(1 + len(upstreams) + gone)
    there = dict(zip(pods, upstreams, strict=False))
    with (
        istio.running("inbound", _inbound(manifests, theirs, there), folder) as near,
        istio.running("outbound", _outbound(manifests, ours, outbound, pods), folder) as far,
    ):
        yield IstioMesh(manifests, pods, ours, outbound, {"inbound": near, "outbound": far})


def _inbound(manifests: Manifests, identity: Path, pods: Mapping[int, int]) -> dict[str, object]:
    assert istio_objects.wants_identities(manifests.one("PeerAuthentication", "default"))
    tls = istio.accepts(identity, {"prefix": f"spiffe://{DOMAIN}/"})
    policy = manifests.one("AuthorizationPolicy", _FRAUD)
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


def _to_the_app(cluster: str) -> dict[str, object]:
    # By itself it tries again what has not been sent.
    retry = {"retry_on": "reset-before-request", "num_retries": 2}
    route = istio.everything({"cluster": cluster, "timeout": "0s", "retry_policy": retry})
    return {"name": cluster, "domains": ["*"], "routes": [route]}


def _outbound(manifests: Manifests, identity: Path, port: int, pods: Sequence[int]) -> dict[str, object]:
    called = {"exact": f"spiffe://{DOMAIN}/{_account(_FRAUD)}"}
    rule = manifests.one("DestinationRule", _FRAUD)
    host = istio_objects.virtual_host(manifests.one("VirtualService", _FRAUD), NAMESPACE)
    return {
        "listeners": [istio.listener("outbound", port, [host])],
        "clusters": [istio_objects.cluster(rule, pods, istio.presents(identity, called))],
    }


def _account(name: str) -> str:
    return f"ns/{NAMESPACE}/sa/{name}"
