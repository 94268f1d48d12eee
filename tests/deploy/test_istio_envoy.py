"""What is rendered for Istio, as Envoy does it: a real one, told what Istio tells it of these objects."""

import contextlib
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest
from infermesh.proto.grpc_reflection_v1 import reflection_pb2, reflection_pb2_grpc
from infermesh.proto.inference import grpc_service_pb2 as v2
from support import istio, onnx_models
from support.client import SECONDS, floats, outputs, request
from support.echo_app import echoing
from support.istio_mesh import MESH, IstioMesh, istio_mesh
from support.kubernetes_render import rendered
from support.pods import may_mount
from support.process import Process
from support.rendered_pods import server_arguments, sidecar_file
from support.repository import Repository
from support.scripted_upstream import Behaviour, ScriptedUpstream, answers, answers_after, refuses, scripted
from support.server import Server, serving
from support.sidecar import Sidecar

pytestmark = pytest.mark.skipif(istio.missing() is not None, reason=istio.missing() or "")

REQUEST = request("scale", x=floats(1, 1, start=2))

UNAVAILABLE = refuses(grpc.StatusCode.UNAVAILABLE.value[0])


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Server]]:
    """Two of them, as their Pods would start them."""
    folder = tmp_path_factory.mktemp("servers")
    models = Repository.make(folder / "repository")
    models.onnx("scale", onnx_models.scale(3.0, ("n", 1)))
    pod = rendered(folder, "istio", MESH).pod("fraud")
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(serving(*server_arguments(pod, models.root))) for _ in range(2)]


@contextlib.contextmanager
def scripts(*behaviours: Behaviour) -> Iterator[Sequence[ScriptedUpstream]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(scripted(it)) for it in behaviours]


def ports(upstreams: Sequence[ScriptedUpstream | Server]) -> list[int]:
    return [it.port for it in upstreams]


def requests(upstreams: Sequence[ScriptedUpstream]) -> int:
    return sum(it.requests for it in upstreams)


@contextlib.contextmanager
def calling(mesh: IstioMesh) -> Iterator[grpc.Channel]:
    """Calls by the name of the Service, and waits for nothing."""
    options = [("grpc.default_authority", "fraud"), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{mesh.outbound}", options) as channel:
        yield channel


def infer(channel: grpc.Channel, timeout: float = SECONDS) -> v2.ModelInferResponse:
    call = channel.unary_unary(
        "/inference.GRPCInferenceService/ModelInfer",
        request_serializer=v2.ModelInferRequest.SerializeToString,
        response_deserializer=v2.ModelInferResponse.FromString,
    )
    found: v2.ModelInferResponse = call(REQUEST, timeout=timeout)
    return found


def failure(channel: grpc.Channel, timeout: float = SECONDS) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        infer(channel, timeout)
    return caught.value


@contextlib.contextmanager
def through_a_sidecar(mesh: IstioMesh, folder: Path) -> Iterator[grpc.Channel]:
    """As the app calls: its sidecar, as it was rendered, and then Istio's proxy."""
    with echoing() as app:
        where = {"endpoints": [f"127.0.0.1:{mesh.outbound}"]}
        config = sidecar_file(mesh.manifests.sidecar("shop"), folder, app, where)
        sidecar = Sidecar("--config", config)
        try:
            sidecar.wait_for("sidecar-ready")
            options = [("grpc.default_authority", "fraud")]
            with grpc.insecure_channel(f"127.0.0.1:{sidecar.port('outbound')}", options) as channel:
                yield channel
        finally:
            sidecar.kill()


def test_models_answer_an_app(servers: Sequence[Server], tmp_path: Path) -> None:
    """App -> sidecar -> Envoy -> mutual TLS -> Envoy -> server, and each server has its part."""
    with istio_mesh(tmp_path, ports(servers)) as mesh, through_a_sidecar(mesh, tmp_path) as channel:
        for _ in range(40):
            assert outputs(infer(channel))["y"].tolist() == [[6.0]]
        counted = mesh.counters("inbound")
        shares = [counted[f"cluster.app-{pod}.upstream_rq_total"] for pod in mesh.pods]
        assert sum(shares) == 40
        assert min(shares) > 0


@pytest.mark.skipif(not may_mount(), reason="mounts of one's own need the right to make them")
def test_an_app_need_not_know_the_name_of_the_service(servers: Sequence[Server], tmp_path: Path) -> None:
    """It calls localhost, as INFERMESH_URL says, and the sidecar the Service."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost fraud\n", encoding="utf-8")
    with istio_mesh(tmp_path, ports(servers)) as mesh, echoing() as app:
        where = {"dns": f"fraud:{mesh.outbound}"}
        config = sidecar_file(mesh.manifests.sidecar("shop"), tmp_path, app, where)
        command = [sys.executable, "-m", "infermesh", "sidecar", "--config", str(config)]
        script = 'mount --bind "$1" /etc/hosts; shift; exec "$@"'
        sidecar = Process(
            [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-ec",
                script,
                "sh",
                str(hosts),
                *command,
            ]
        )
        try:
            said = sidecar.wait_for("sidecar-listening", lambda it: " outbound on " in it["message"])
            sidecar.wait_for("sidecar-ready")
            with grpc.insecure_channel(f"127.0.0.1:{said['server.port']}") as channel:
                assert outputs(infer(channel))["y"].tolist() == [[6.0]]
        finally:
            sidecar.stop()


def test_who_is_not_available_is_not_the_last_word(servers: Sequence[Server], tmp_path: Path) -> None:
    with (
        scripts(UNAVAILABLE) as (refusing,),
        istio_mesh(tmp_path, [refusing.port, servers[0].port]) as mesh,
        through_a_sidecar(mesh, tmp_path) as channel,
    ):
        while not refusing.requests:
            assert outputs(infer(channel))["y"].tolist() == [[6.0]]


@pytest.mark.parametrize(
    ("retry", "attempts"), [("", 3), ("retry: {max_attempts: 2}", 2), ("retry: false", 1)]
)
def test_there_are_as_many_attempts_as_the_mesh_says(tmp_path: Path, retry: str, attempts: int) -> None:
    """Nobody on the way adds any: neither the sidecar, nor the proxies at either end."""
    text = MESH.replace("    timeout: 20s\n", f"    timeout: 20s\n    {retry}\n")
    with (
        scripts(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE) as upstreams,
        istio_mesh(tmp_path, ports(upstreams), text) as mesh,
        through_a_sidecar(mesh, tmp_path) as channel,
    ):
        assert failure(channel).code() == grpc.StatusCode.UNAVAILABLE
        assert requests(upstreams) == attempts


def test_an_error_of_the_request_is_tried_once(tmp_path: Path) -> None:
    wrong = refuses(grpc.StatusCode.INVALID_ARGUMENT.value[0])
    with (
        scripts(wrong, wrong) as upstreams,
        istio_mesh(tmp_path, ports(upstreams)) as mesh,
        calling(mesh) as channel,
    ):
        assert failure(channel).code() == grpc.StatusCode.INVALID_ARGUMENT
        assert requests(upstreams) == 1


def test_a_pod_that_is_gone_is_not_the_last_word(tmp_path: Path) -> None:
    """Nobody listens at its address, as when a node has gone and nobody has noticed."""
    text = MESH.replace("    timeout: 20s\n", "    timeout: 20s\n    breaker: false\n")
    with (
        scripts(answers) as (there,),
        istio_mesh(tmp_path, [there.port], text, gone=1) as mesh,
        calling(mesh) as channel,
    ):
        while mesh.counters("outbound")["cluster.fraud.upstream_cx_connect_fail"] == 0:
            infer(channel)


def test_an_attempt_that_takes_too_long_is_made_elsewhere(tmp_path: Path) -> None:
    text = MESH.replace("    timeout: 20s\n", "    timeout: 20s\n    retry: {per_try_timeout: 100ms}\n")
    with (
        scripts(answers_after(SECONDS), answers) as (slow, quick),
        istio_mesh(tmp_path, [slow.port, quick.port], text) as mesh,
        calling(mesh) as channel,
    ):
        while not slow.requests:
            infer(channel)
        assert quick.requests


def test_the_timeout_holds(tmp_path: Path) -> None:
    """For all attempts together, whatever time the caller has."""
    text = MESH.replace("    timeout: 20s\n", "    timeout: 500ms\n    retry: {per_try_timeout: 300ms}\n")
    late = answers_after(SECONDS)
    with (
        scripts(late, late, late) as upstreams,
        istio_mesh(tmp_path, ports(upstreams), text) as mesh,
        through_a_sidecar(mesh, tmp_path) as channel,
    ):
        begun = time.monotonic()
        found = failure(channel)
        # Envoy has no other code for it.
        assert found.code() == grpc.StatusCode.UNAVAILABLE
        assert found.details() == "upstream request timeout"
        assert 0.5 <= time.monotonic() - begun < SECONDS / 2
        assert requests(upstreams) == 2


def test_a_caller_s_shorter_deadline_holds(tmp_path: Path) -> None:
    """Envoy is told of it, and may be the first to end the call: it has no other code for that."""
    late = answers_after(SECONDS)
    with (
        scripts(late) as upstreams,
        istio_mesh(tmp_path, ports(upstreams)) as mesh,
        through_a_sidecar(mesh, tmp_path) as channel,
    ):
        begun = time.monotonic()
        found = failure(channel, 0.3)
        assert (found.code(), found.details()) == (
            grpc.StatusCode.UNAVAILABLE,
            "upstream request timeout",
        ) or (found.code() == grpc.StatusCode.DEADLINE_EXCEEDED)
        assert time.monotonic() - begun < SECONDS / 2


def test_who_only_fails_is_left_alone(tmp_path: Path) -> None:
    text = MESH.replace("    timeout: 20s\n", "    timeout: 20s\n    breaker: {consecutive_failures: 4}\n")
    with (
        scripts(UNAVAILABLE, answers, answers) as (ill, *well),
        istio_mesh(tmp_path, ports([ill, *well]), text) as mesh,
        calling(mesh) as channel,
    ):
        while mesh.counters("outbound")["cluster.fraud.outlier_detection.ejections_active"] == 0:
            infer(channel)
        assert ill.requests == 4
        for _ in range(30):
            infer(channel)
        assert ill.requests == 4


def test_who_may_not_call_is_told_so(servers: Sequence[Server], tmp_path: Path) -> None:
    with istio_mesh(tmp_path, ports(servers), caller="worker") as mesh, calling(mesh) as channel:
        found = failure(channel)
        assert found.code() == grpc.StatusCode.PERMISSION_DENIED
        assert "RBAC" in str(found.details())


def test_who_may_call_models_may_not_call_anything_else(servers: Sequence[Server], tmp_path: Path) -> None:
    with istio_mesh(tmp_path, ports(servers)) as mesh, calling(mesh) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="*")]))
        with pytest.raises(grpc.RpcError) as caught:
            next(asked)
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_who_says_that_he_is_the_server_is_not_believed(servers: Sequence[Server], tmp_path: Path) -> None:
    """Another account of the same namespace, at the server's address."""
    with istio_mesh(tmp_path, ports(servers), servers="worker") as mesh, calling(mesh) as channel:
        assert failure(channel).code() == grpc.StatusCode.UNAVAILABLE
        assert mesh.counters("outbound")["cluster.fraud.ssl.fail_verify_san"] > 0


def test_without_a_certificate_nobody_comes_in(servers: Sequence[Server], tmp_path: Path) -> None:
    with istio_mesh(tmp_path, ports(servers)) as mesh:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", mesh.pods[0]), SECONDS) as plain,
            pytest.raises(ssl.SSLError, match="certificate required"),
            context.wrap_socket(plain) as secured,
        ):
            # Of version 1.3: the server looks at certificates last.
            secured.recv(1)
        with socket.create_connection(("127.0.0.1", mesh.pods[0]), SECONDS) as plain:
            plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            # An alert of TLS.
            assert plain.recv(1) == b"\x15"
