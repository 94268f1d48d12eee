"""`infermesh render kubernetes`: its Pods are run by `podman kube play`, and a request passes through them.

`support.kube_play` says what podman lacks of Kubernetes, and what stands here in its place.
"""

import json
import os
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from infermesh.deploy.kubernetes.pod_container import USER
from infermesh.identity.layout import OWN
from support import podman
from support.container_mesh import infermesh, make_images, make_mesh, make_models
from support.kube_play import Node, Object, config_maps
from support.kubernetes_render import Manifests
from support.podman import Podman
from support.process import Process

TOOLS = ("runc", "aardvark-dns", "catatonit", "ip")

pytestmark = [
    pytest.mark.skipif(podman.missing(*TOOLS) is not None, reason=podman.missing(*TOOLS) or ""),
    pytest.mark.timeout(400),
]

NETWORK = f"infermesh-play-{os.getpid()}"

#: Somebody whom only the image of the app knows.
APP_USER = 12345

SERVERS, SIDECAR, APP = ("scale-0-server", "scale-1-server"), "shop-0-sidecar", "shop-0-app"
OURS = (*SERVERS, SIDECAR)


def address(engine: Podman, pod: str) -> str:
    """Of a Pod."""
    infra = engine("pod", "inspect", pod, "--format", "{{.InfraContainerID}}")
    asked = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return engine("inspect", infra, "--format", asked)


def keep_address(engine: Podman) -> None:
    """Hold the node's own.

    A bridge has the lowest address of what is plugged in: another when that goes, where nobody looks for it.
    """
    bridge = engine("network", "inspect", NETWORK, "--format", "{{.NetworkInterface}}")
    address = Path(f"/sys/class/net/{bridge}/address").read_text(encoding="ascii").strip()
    subprocess.run(["ip", "link", "set", "dev", bridge, "address", address], check=True)


@dataclass(frozen=True)
class Cluster:
    """Pods that run."""

    engine: Podman
    manifests: Manifests
    #: Of somebody else of the mesh.
    identity: Path
    #: What was played, in the order of it.
    files: Sequence[Path]
    #: By container, of those that are infermesh's.
    logs: Mapping[str, Process]
    #: By Pod, as the node knows them.
    addresses: Mapping[str, str]

    def state(self, container: str, asked: str) -> str:
        """What podman knows of a container."""
        return self.engine("inspect", container, "--format", "{{" + asked + "}}")

    def stop(self, container: str) -> None:
        """As kubelet ends it, with the patience that is rendered."""
        self.engine("stop", "--time", self.patience(container), container)

    def patience(self, container: str) -> int:
        """Seconds until its Pod is killed."""
        grace: int = self.manifests.pod(container.split("-")[0])["terminationGracePeriodSeconds"]
        return grace

    def written(self, container: str) -> Object:
        """A container as it is rendered."""
        workload, _, name = container.split("-")
        pod = self.manifests.pod(workload)
        found: Object = next(
            it for it in [*pod.get("initContainers", []), *pod["containers"]] if it["name"] == name
        )
        return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    engine = Podman(tmp_path_factory.mktemp("podman") / "store")
    try:
        make_images(engine, APP_USER)
        engine("network", "create", NETWORK)
        yield engine
    finally:
        engine("network", "rm", "--force", "--time", 0, NETWORK)
        engine.close()


@pytest.fixture(scope="module")
def cluster(engine: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A mesh that runs: a server twice, and an app with its sidecar."""
    folder = tmp_path_factory.mktemp("mesh")
    make_mesh(folder, NETWORK)
    infermesh(folder, "render", "kubernetes", "--output", "out")
    manifests = Manifests(folder / "out")
    # What operators are told to do, and cert-manager does.
    make_models(folder / "claims/data-models/models")
    infermesh(folder, "identity", "init", "--trust-domain", f"{NETWORK}.local")
    for name in ("scale", "shop", "customer"):
        infermesh(folder, "identity", "issue", name, "--output", folder / f"secrets/{name}-identity")
    node = Node(folder / "claims", folder / "secrets")
    with ExitStack() as stack:
        files, logs, addresses = [], {}, {}
        for name, container in (("scale", "server"), ("shop", "sidecar")):
            files.append(folder / f"{name}.yaml")
            pods = list(node.pods(manifests.one("Deployment", name)))
            files[-1].write_text(yaml.safe_dump_all([*config_maps(manifests), *pods]))
            # What a headless Service is: one name for all of its Pods.
            engine("kube", "play", "--network", f"{NETWORK}:alias={name}-pods", files[-1])
            stack.callback(engine.run, "kube", "down", files[-1])
            keep_address(engine)
            for pod in (it["metadata"]["name"] for it in pods):
                addresses[pod] = address(engine, pod)
                its = f"{pod}-{container}"
                logs[its] = engine.follow(its)
                stack.callback(logs[its].stop)
        for its, log in logs.items():
            log.wait_for("sidecar-ready" if its.endswith("sidecar") else "server-ready", seconds=120)
        yield Cluster(engine, manifests, folder / "secrets/customer-identity", files, logs, addresses)


def answer_of(url: str, known: ssl.SSLContext | None = None) -> bytes:
    """What a URL is answered with, which has to be 200."""
    with urllib.request.urlopen(url, timeout=20, context=known) as answer:
        assert answer.status == 200
        body: bytes = answer.read()
        return body


def score(cluster: Cluster) -> Any:
    """What the app answers to somebody of another Pod."""
    url = f"https://{cluster.addresses['shop-0']}:15106/score"
    return json.loads(answer_of(url, identified(cluster)))["outputs"][0]["data"]


def greeting(cluster: Cluster, pod: str, port: int, known: ssl.SSLContext) -> bytes:
    """What somebody who speaks HTTP/2 hears first."""
    known.set_alpn_protocols(["h2"])
    address = cluster.addresses[pod]
    with (
        socket.create_connection((address, port), timeout=20) as plain,
        known.wrap_socket(plain, server_hostname=address) as tls,
    ):
        tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        return tls.recv(100)


def identified(cluster: Cluster) -> ssl.SSLContext:
    """TLS of somebody who has an identity."""
    context = unidentified(cluster)
    context.load_cert_chain(cluster.identity / OWN.certificate, cluster.identity / OWN.key)
    return context


def unidentified(cluster: Cluster) -> ssl.SSLContext:
    """TLS of somebody who has none."""
    context = ssl.create_default_context(cafile=cluster.identity / OWN.bundle)
    # An identity is a SPIFFE id, and no host name.
    context.check_hostname = False
    return context


def test_requests_pass(cluster: Cluster) -> None:
    assert score(cluster) == [3, 6, 9, 12]


def test_all_pods_are_called(cluster: Cluster) -> None:
    for _ in range(100):
        score(cluster)
    for server in SERVERS:
        metrics = answer_of(
            f"http://{cluster.addresses[server.removesuffix('-server')]}:8002/metrics"
        ).decode()
        (line,) = [it for it in metrics.splitlines() if it.startswith("nv_inference_request_success{")]
        assert float(line.split()[-1]) > 0, server


@pytest.mark.parametrize("container", OURS)
def test_probes_find_what_they_ask(cluster: Cluster, container: str) -> None:
    """From outside the Pod, by the names of its ports, as kubelet does."""
    written = cluster.written(container)
    ports = {it["name"]: it["containerPort"] for it in written["ports"]}
    address = cluster.addresses[container.rpartition("-")[0]]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = written[name]["httpGet"]
        answer_of(f"http://{address}:{ports[asked['port']]}{asked['path']}")


@pytest.mark.parametrize(("pod", "port"), [("scale-0", 8001), ("shop-0", 15106)])
def test_nobody_is_let_in_without_an_identity(cluster: Cluster, pod: str, port: int) -> None:
    assert greeting(cluster, pod, port, identified(cluster))
    with suppress(ssl.SSLError, ConnectionError):
        assert greeting(cluster, pod, port, unidentified(cluster)) == b""


@pytest.mark.parametrize("port", [8070, 15101])
def test_a_pods_own_ports_are_its_own(cluster: Cluster, port: int) -> None:
    """Where the app listens, and where it is served."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((cluster.addresses["shop-0"], port), timeout=20)


def test_containers_can_do_little(cluster: Cluster) -> None:
    script = "import os; print(os.getuid()); open('/tmp/x', 'w'); open('/etc/x', 'w')"
    for container in (*OURS, APP):
        user = USER if container in OURS else APP_USER
        done = cluster.engine.run("exec", container, "python", "-c", script)
        assert done.stdout.decode().split() == [str(user)]
        assert b"Read-only file system: '/etc/x'" in done.stderr, container
        status = cluster.engine("exec", container, "grep", "-E", "Cap|NoNewPrivs", "/proc/self/status")
        numbers = {line.split(":")[0]: int(line.split()[1], 16) for line in status.splitlines()}
        assert numbers.pop("NoNewPrivs") == 1
        assert set(numbers.values()) == {0}, container


def test_what_is_mounted_is_only_read(cluster: Cluster) -> None:
    for container in OURS:
        for mount in cluster.written(container)["volumeMounts"]:
            if mount["mountPath"] == "/tmp":
                continue
            script = f"open('{mount['mountPath']}/x', 'w')"
            done = cluster.engine.run("exec", container, "python", "-c", script)
            assert b"Read-only file system" in done.stderr, mount


def test_an_app_finds_nothing_of_its_sidecars(cluster: Cluster) -> None:
    cluster.engine("exec", SIDECAR, "touch", "/tmp/mine")
    for path in ("/tmp/mine", "/var/run/infermesh/identity/tls.key", "/etc/infermesh/sidecar.yaml"):
        cluster.engine("exec", SIDECAR, "test", "-e", path)
        assert cluster.engine.run("exec", APP, "test", "-e", path).returncode == 1, path


def test_memory_is_limited(cluster: Cluster) -> None:
    for container, expected in ((SERVERS[0], 1 << 30), (SIDECAR, 512 << 20), (APP, 2 << 30)):
        assert int(cluster.state(container, ".HostConfig.Memory")) == expected


def test_a_server_goes_and_nobody_notices(cluster: Cluster) -> None:
    """Before the last test: it does not come back. There is no `preStop` that would tell others in time."""
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(cluster.stop, SERVERS[0])
        while not ended.done():
            assert score(cluster) == [3, 6, 9, 12]
        ended.result()
    for _ in range(20):
        assert score(cluster) == [3, 6, 9, 12]


def test_they_end_in_order(cluster: Cluster) -> None:
    """Last of all: an app and then its sidecar, as kubelet has it, each by itself before it is killed."""
    for container in (APP, SIDECAR, *SERVERS):
        cluster.stop(container)
        assert cluster.state(container, ".State.ExitCode") == "0"
    for container in OURS:
        cluster.logs[container].wait_for("sidecar-stopped" if container == SIDECAR else "server-stopped")
    for file in reversed(cluster.files):
        cluster.engine("kube", "down", file)
    assert cluster.engine("ps", "--all", "--quiet") == ""
