"""A real Envoy, configured as Istio would, and this proxy on the two ends of a mutual TLS connection."""

import datetime
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from infermesh.identity.authority import Authority
from infermesh.identity.layout import OWN
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from infermesh_native import Proxy
from support import identities, istio
from support.repository import Repository
from support.server import Serve, Server

pytestmark = pytest.mark.skipif(istio.missing() is not None, reason=istio.missing() or "")

DOMAIN = "cluster.local"
APP = "ns/shop/sa/checkout"
MODELS = "ns/ml/sa/fraud"

MODEL = """
class Model:
    inputs = {"x": ("FP32", [-1])}
    outputs = {"y": ("FP32", [-1])}
    max_batch_size = 8

    def infer(self, batch):
        return {"y": batch["x"] + 1}
"""

Issue = Callable[[str], Path]


@pytest.fixture
def issue(tmp_path: Path) -> Issue:
    """Issues identities of one trust domain, as cert-manager's istio-csr does; returns their folders."""
    authority = Authority.create(DOMAIN, _now())
    return lambda name: identities.issue(authority, tmp_path, name)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@pytest.fixture
def server(repository: Repository, serve: Serve) -> Server:
    """A server with a model that adds one."""
    repository.python("add", MODEL)
    server = serve()
    server.wait_ready()
    return server


@contextmanager
def proxy(upstream: int, identity: Path, *, inbound: bool, allow: str = "") -> Iterator[str]:
    """Run this project's proxy on loopback; yields its address. Peers and servers need an identity."""
    config = pb.ProxyConfig(name="sidecar", threads=1)
    config.identity.certificate_file = str(identity / OWN.certificate)
    config.identity.key_file = str(identity / OWN.key)
    config.identity.authorities_file = str(identity / OWN.bundle)
    cluster = config.clusters.add(name="upstream")
    cluster.static.endpoints.append(f"127.0.0.1:{upstream}")
    listener = config.listeners.add(name="listener", address="127.0.0.1:0")
    route = listener.routes.add(name="all", cluster="upstream")
    route.retry.SetInParent()
    if inbound:
        listener.tls = pb.LISTENER_TLS_MUTUAL
        if allow:
            listener.permissions.add(identities=[allow])
    else:
        cluster.tls.identities.append(f"spiffe://{DOMAIN}/{MODELS}")
    native = Proxy(config.SerializeToString(), version="test")
    yield native.listen()["listener"]
    assert native.drain(10.0)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _infer(address: str) -> list[float]:
    client = triton.InferenceServerClient(address)
    given = triton.InferInput("x", [1, 2], "FP32")
    given.set_data_from_numpy(np.array([[1, 2]], np.float32))
    answer = client.infer("add", [given]).as_numpy("y")
    assert answer is not None
    return [float(value) for value in answer[0]]


def _large(address: str) -> None:
    """A tensor of many frames, both ways."""
    client = triton.InferenceServerClient(address)
    values = np.arange(2 << 20, dtype=np.float32).reshape(1, -1)
    given = triton.InferInput("x", list(values.shape), "FP32")
    given.set_data_from_numpy(values)
    np.testing.assert_array_equal(client.infer("add", [given]).as_numpy("y"), values + 1)


def test_envoy_calls_through_it(server: Server, issue: Issue, tmp_path: Path) -> None:
    """App -> Envoy -> mutual TLS -> this proxy -> server."""
    with ExitStack() as stack:
        ours = stack.enter_context(
            proxy(server.port, issue(MODELS), inbound=True, allow=f"spiffe://{DOMAIN}/ns/shop/*")
        )
        peers = f"spiffe://{DOMAIN}/{MODELS}"
        address = stack.enter_context(istio.envoy("outbound", _port(ours), issue(APP), peers, tmp_path))
        assert _infer(address) == [2.0, 3.0]
        _large(address)


def test_it_calls_through_envoy(server: Server, issue: Issue, tmp_path: Path) -> None:
    """App -> this proxy -> mutual TLS -> Envoy -> server."""
    with ExitStack() as stack:
        peers = f"spiffe://{DOMAIN}/ns/"
        theirs = stack.enter_context(istio.envoy("inbound", server.port, issue(MODELS), peers, tmp_path))
        address = stack.enter_context(proxy(_port(theirs), issue(APP), inbound=False))
        assert _infer(address) == [2.0, 3.0]
        _large(address)


def test_an_error_of_the_server_passes_both(server: Server, issue: Issue, tmp_path: Path) -> None:
    """Status and message are the server's own, on the way through either."""
    with ExitStack() as stack:
        peers = f"spiffe://{DOMAIN}/ns/"
        theirs = stack.enter_context(istio.envoy("inbound", server.port, issue(MODELS), peers, tmp_path))
        address = stack.enter_context(proxy(_port(theirs), issue(APP), inbound=False))
        client = triton.InferenceServerClient(address)
        with pytest.raises(triton.InferenceServerException) as caught:
            client.get_model_metadata("nobody")
        assert "NOT_FOUND" in str(caught.value)
        assert "'nobody'" in str(caught.value)


def test_who_is_not_allowed_is_told_so_through_envoy(server: Server, issue: Issue, tmp_path: Path) -> None:
    """Envoy's identity is known and not permitted."""
    with ExitStack() as stack:
        inbound = proxy(server.port, issue(MODELS), inbound=True, allow=f"spiffe://{DOMAIN}/ns/other/*")
        ours = stack.enter_context(inbound)
        outbound = istio.envoy("outbound", _port(ours), issue(APP), f"spiffe://{DOMAIN}/", tmp_path)
        said = _refusal(stack.enter_context(outbound))
        assert "PERMISSION_DENIED" in said
        assert f"spiffe://{DOMAIN}/{APP}" in said


def test_an_envoy_of_another_trust_is_refused_with_the_reason(
    server: Server, issue: Issue, tmp_path: Path
) -> None:
    """This proxy says who presented what, and who is trusted."""
    stranger = identities.issue(Authority.create(DOMAIN, _now()), tmp_path, MODELS, "stranger")
    with ExitStack() as stack:
        inbound = istio.envoy("inbound", server.port, stranger, f"spiffe://{DOMAIN}/", tmp_path)
        theirs = stack.enter_context(inbound)
        said = _refusal(stack.enter_context(proxy(_port(theirs), issue(APP), inbound=False)))
        assert "UNAVAILABLE" in said
        assert "TLS with" in said
        assert "trusted" in said


def _refusal(address: str) -> str:
    with pytest.raises(triton.InferenceServerException) as caught:
        triton.InferenceServerClient(address).is_server_live()
    return str(caught.value)
