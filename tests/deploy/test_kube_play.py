"""`infermesh render kubernetes`: its Pods are run by `podman kube play`, and a request passes through them.

`support.kube_play` says what podman lacks of Kubernetes, and what stands here in its place.
"""

import json
import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from infermesh.deploy.kubernetes.container import USER
from infermesh.identity.layout import DEFAULT_FOLDER, OWN
from support import onnx_models, podman
from support.kube_play import Node, Object, config_maps
from support.kubernetes_render import Manifests
from support.podman import IMAGES, Podman
from support.process import Process
from support.repository import Repository

TOOLS = ("runc", "aardvark-dns", "catatonit")

pytestmark = [
    pytest.mark.skipif(podman.missing(*TOOLS) is not None, reason=podman.missing(*TOOLS) or ""),
    pytest.mark.timeout(400),
]

NETWORK = f"infermesh-play-{os.getpid()}"

#: Somebody whom only the image of the app knows.
APP_USER = 12345

MESH = f"""
name: {NETWORK}
images: {{server: {IMAGES}, sidecar: {IMAGES}, tag: test}}
servers:
  scale:
    models: models
    placement: {{replicas: 2, memory: 1GiB, cpu: 500m}}
apps:
  shop:
    image: {IMAGES}-app:test
    port: 8070
    health: /healthz
"""

#: Kubelet's, of a server and of a sidecar; what runs beside them is people's.
OURS = ("scale-0-server", "scale-1-server", "shop-0-sidecar")
APP = "shop-0-app"


def infermesh(folder: Path, *arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "infermesh", *map(str, arguments)], cwd=folder, check=True)


@dataclass(frozen=True)
class Cluster:
    """Pods that run."""

    engine: Podman
    manifests: Manifests
    #: Of somebody else of the mesh.
    identity: Path
    files: Sequence[Path]
    logs: dict[str, Process]

    def address(self, pod: str) -> str:
        """Of a Pod, as the node knows it."""
        infra = self.engine("pod", "inspect", pod, "--format", "{{.InfraContainerID}}")
        asked = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self.engine("inspect", infra, "--format", asked)

    def state(self, container: str, asked: str) -> str:
        """What podman knows of a container."""
        return self.engine("inspect", container, "--format", "{{" + asked + "}}")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    engine = Podman(tmp_path_factory.mktemp("podman") / "store")
    try:
        engine.image(f"{IMAGES}:test", ["infermesh"])
        app = Path(__file__).parents[1] / "support" / "compose_app.py"
        engine.image(f"{IMAGES}-app:test", ["python", str(app)], APP_USER)
        engine("network", "create", NETWORK)
        yield engine
    finally:
        engine("network", "rm", "--force", "--time", 0, NETWORK)
        engine.close()


@pytest.fixture(scope="module")
def cluster(engine: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A mesh that runs: a server twice, and an app with its sidecar."""
    folder = tmp_path_factory.mktemp("mesh")
    Repository.make(folder / "models").onnx("scale", onnx_models.scale(3.0))
    (folder / "mesh.yaml").write_text(MESH)
    infermesh(folder, "render", "kubernetes", "--output", "out")
    manifests = Manifests(folder / "out")
    # What operators are told to do, and cert-manager does.
    Repository.make(folder / "claims/data-models/models").onnx("scale", onnx_models.scale(3.0))
    infermesh(folder, "identity", "init", "--trust-domain", f"{NETWORK}.local")
    for name in ("scale", "shop", "customer"):
        infermesh(folder, "identity", "issue", name, "--output", folder / f"secrets/{name}-identity")
    node = Node(folder / "claims", folder / "secrets")
    with ExitStack() as stack:
        files, logs = [], {}
        for name, container in (("scale", "server"), ("shop", "sidecar")):
            files.append(folder / f"{name}.yaml")
            pods = list(node.pods(manifests.one("Deployment", name)))
            files[-1].write_text(yaml.safe_dump_all([*config_maps(manifests), *pods]))
            # What a headless Service is: one name for all of its Pods.
            engine("kube", "play", "--network", f"{NETWORK}:alias={name}-pods", files[-1])
            stack.callback(engine.run, "kube", "down", files[-1])
            for pod in pods:
                its = f"{pod['metadata']['name']}-{container}"
                logs[its] = engine.follow(its)
                stack.callback(logs[its].stop)
        for its, log in logs.items():
            log.wait_for("sidecar-ready" if its.endswith("sidecar") else "server-ready", seconds=120)
        yield Cluster(engine, manifests, folder / "secrets/customer-identity", files, logs)


def asked(cluster: Cluster, path: str, known: ssl.SSLContext | None = None) -> bytes:
    """What the app answers to somebody of another Pod."""
    scheme = "http" if known is None else "https"
    address = f"{scheme}://{cluster.address('shop-0')}:15106{path}"
    with urllib.request.urlopen(address, timeout=20, context=known) as answer:
        body: bytes = answer.read()
        return body


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
    answer = json.loads(asked(cluster, "/score", identified(cluster)))
    assert answer["outputs"][0]["data"] == [3, 6, 9, 12]
