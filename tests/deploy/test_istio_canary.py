"""A canary under Istio: Envoy, told what is rendered, gives each of two real servers its share."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest
from support import istio, onnx_models
from support.client import Client, floats, outputs, request
from support.istio_mesh import CANARY, MESH, IstioMesh, istio_mesh
from support.kubernetes_render import rendered
from support.rendered_pods import server_arguments
from support.repository import Repository
from support.scripted_upstream import refuses, scripted
from support.server import Server, serving

pytestmark = pytest.mark.skipif(istio.missing() is not None, reason=istio.missing() or "")

REQUEST = request("scale", x=floats(1, 1, start=2))

#: What the model of today answers, and the next one.
MAIN, NEXT = 6.0, 10.0

UNAVAILABLE = refuses(grpc.StatusCode.UNAVAILABLE.value[0])


def mesh(share: str) -> str:
    canary = f"    canary: {{share: {share}, placement: {{replicas: 1}}}}\n"
    return MESH.replace("    timeout: 20s\n", f"    timeout: 20s\n{canary}")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Server]]:
    """One of today and one of the next model, as their Pods would start them."""
    folder = tmp_path_factory.mktemp("servers")
    manifests = rendered(folder, "istio", mesh("10%"))
    with contextlib.ExitStack() as stack:
        found = []
        for name, answer in (("fraud", MAIN), (CANARY, NEXT)):
            models = Repository.make(folder / name)
            models.onnx("scale", onnx_models.scale(answer / 2, ("n", 1)))
            arguments = server_arguments(manifests.pod(name), models.root)
            found.append(stack.enter_context(serving(*arguments)))
        yield found


@contextlib.contextmanager
def canary_mesh(
    servers: Sequence[Server], folder: Path, share: str, caller: str = "shop"
) -> Iterator[IstioMesh]:
    main, other = servers
    with istio_mesh(folder, [main.port], mesh(share), caller=caller, canary=[other.port]) as found:
        yield found


def answers(client: Client, count: int) -> Counter[float]:
    return Counter(outputs(client.infer(REQUEST))["y"].item() for _ in range(count))


def test_each_has_the_share_that_is_said(servers: Sequence[Server], tmp_path: Path) -> None:
    """Within six standard deviations, as each request is decided by itself."""
    with canary_mesh(servers, tmp_path, "30%") as istio_, istio_.client() as client:
        found = answers(client, 1000)
    assert found[MAIN] + found[NEXT] == 1000
    assert abs(found[NEXT] - 300) < 87


@pytest.mark.parametrize(("share", "answer"), [("0%", MAIN), ("100%", NEXT)])
def test_all_or_nothing(servers: Sequence[Server], tmp_path: Path, share: str, answer: float) -> None:
    with canary_mesh(servers, tmp_path, share) as istio_, istio_.client() as client:
        assert answers(client, 100) == {answer: 100}


def test_it_is_tested_by_its_own_name(servers: Sequence[Server], tmp_path: Path) -> None:
    with canary_mesh(servers, tmp_path, "0%") as istio_, istio_.client(CANARY) as client:
        assert answers(client, 20) == {NEXT: 20}


def test_a_canary_is_called_by_those_who_call_the_server_and_nobody_else(
    servers: Sequence[Server], tmp_path: Path
) -> None:
    with (
        canary_mesh(servers, tmp_path, "100%", caller="worker") as istio_,
        pytest.raises(grpc.RpcError, match="RBAC"),
        istio_.client(),
    ):
        pass


def test_there_are_as_many_attempts_as_the_server_s_policies_say(
    servers: Sequence[Server], tmp_path: Path
) -> None:
    with (
        scripted(UNAVAILABLE) as ill,
        istio_mesh(tmp_path, [servers[0].port], mesh("100%"), canary=[ill.port]) as istio_,
    ):
        with pytest.raises(grpc.RpcError) as caught, istio_.client():
            pass
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert ill.requests == 3
