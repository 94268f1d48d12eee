"""A mesh that was rendered, in a real Kubernetes cluster of one node.

The variable INFERMESH_CLUSTER names it: a context of kubectl. Its node has the images `localhost/server:test`
and `localhost/sidecar:test`; CONTRIBUTING.md says how they come there. What is installed decides which meshes
can be tried.
"""

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from infermesh.deploy.kubernetes.flavours.known import FLAVOURS
from infermesh.deploy.kubernetes.render import render
from infermesh.deploy.output import write
from infermesh.description.read import read

from support import cluster_load, compose_app, onnx_models
from support.repository import Repository

VARIABLE = "INFERMESH_CLUSTER"
SERVER, SIDECAR = "localhost/server", "localhost/sidecar"

#: What a mesh brings into a cluster; without it, that mesh is not there.
INSTALLED = {
    "none": "certificates.cert-manager.io",
    "istio": "virtualservices.networking.istio.io",
    "linkerd": "servers.policy.linkerd.io",
}

#: Folders of models, and what each makes of one.
FACTORS = {"models": 3.0, "models-next": 5.0}

SECONDS = 180.0

Object = dict[str, Any]


def missing() -> str | None:
    """Why no cluster can be used; None if one can."""
    if shutil.which("kubectl") is None:
        return "kubectl is not installed"
    return None if os.environ.get(VARIABLE) else f"{VARIABLE} names no cluster"


def has(flavour: str) -> bool:
    """Whether the cluster has what this mesh needs."""
    return kubectl("get", "crd", INSTALLED[flavour], check=False).returncode == 0


def kubectl(
    *arguments: object, given: str | bytes = b"", check: bool = True, seconds: float = SECONDS
) -> subprocess.CompletedProcess[bytes]:
    """Run it in the cluster; raises AssertionError if it fails, unless it may."""
    command = _command(*arguments)
    done = subprocess.run(
        command,
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0 or not check, f"{command}: {done.stderr.decode()}"
    return done


def _command(*arguments: object) -> list[str]:
    return ["kubectl", "--context", os.environ[VARIABLE], *map(str, arguments)]


@dataclass
class Mesh:
    """A mesh in a namespace of its own: a server, its canary, and an app that asks through its sidecar."""

    flavour: str
    folder: Path
    namespace: str = field(init=False)

    def __post_init__(self) -> None:
        self.namespace = f"infermesh-test-{self.flavour}"

    def kubectl(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run it in the namespace."""
        return kubectl("--namespace", self.namespace, *arguments, **options)

    def render(self, share: str) -> None:
        """Write the mesh, with this share for its canary, and what it does not say as an overlay."""
        (self.folder / "mesh.yaml").write_text(yaml.safe_dump(_mesh(share)))
        found = render(read(self.folder / "mesh.yaml"), FLAVOURS[self.flavour], self.namespace, "monitoring")
        write(self.folder / "k8s", found.files)
        overlay = self.folder / "overlay"
        overlay.mkdir(exist_ok=True)
        shutil.copy(Path(compose_app.__file__), overlay / "app.py")
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(_overlay(self.namespace)))

    def apply(self) -> None:
        """Let it be so, and wait until it is."""
        kubectl("apply", "-k", self.folder / "overlay")
        for name in ("scale", "scale-canary", "shop"):
            self.roll_out(name)

    def roll_out(self, name: str) -> None:
        """Wait until all Pods of a workload are what they should be."""
        self.kubectl(
            "rollout", "status", f"deployment/{name}", f"--timeout={SECONDS:.0f}s", seconds=2 * SECONDS
        )

    def python(self, pod: str, container: str, script: str) -> bytes:
        """What a script writes in a container."""
        return self.kubectl("exec", "-i", pod, "-c", container, "--", "python3", "-", given=script).stdout

    @contextmanager
    def load(self, seconds: float) -> Iterator[dict[str, int]]:
        """Ask the model all of the time; afterwards there is how often each answer came."""
        answers: dict[str, int] = {}
        inside = ("exec", "-i", "deployment/shop", "-c", "app", "--", "python3", "-", seconds)
        process = subprocess.Popen(
            _command("--namespace", self.namespace, *inside), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.write(Path(cluster_load.__file__).read_bytes())
        process.stdin.close()
        process.stdin = None
        try:
            yield answers
            out, _ = process.communicate(timeout=seconds + SECONDS)
        finally:
            process.kill()
        answers.update(json.loads(out))


@contextmanager
def meshed(flavour: str, folder: Path) -> Iterator[Mesh]:
    """A mesh that runs; the namespace is gone afterwards."""
    for name, factor in FACTORS.items():
        Repository.make(folder / name).onnx("scale", onnx_models.scale(factor))
    mesh = Mesh(flavour, folder)
    try:
        mesh.render("30%")
        kubectl("apply", "-f", mesh.folder / "k8s/namespace.yaml")
        kubectl("apply", "-f", "-", given=yaml.safe_dump_all(_volumes(mesh)))
        _fill(mesh)
        mesh.apply()
        yield mesh
    finally:
        kubectl("delete", "namespace", mesh.namespace, "--ignore-not-found", seconds=2 * SECONDS)
        for volume in _volumes(mesh):
            kubectl("delete", "persistentvolume", volume["metadata"]["name"], "--ignore-not-found")


def _mesh(share: str) -> Object:
    placement = {"cpu": "100m", "memory": "512MiB"}
    return {
        "name": "checkout",
        "images": {"server": SERVER, "sidecar": SIDECAR, "tag": "test"},
        "servers": {
            "scale": {
                "models": "models",
                "timeout": "10s",
                "placement": {"replicas": 2, **placement},
                "canary": {"share": share, "models": "models-next", "placement": {"replicas": 1}},
            }
        },
        "apps": {
            "shop": {
                "image": f"{SIDECAR}:test",
                "port": compose_app.PORT,
                "health": "/healthz",
                "calls": "scale",
                "placement": {"replicas": 1, "cpu": "100m", "memory": "256MiB"},
            }
        },
    }


def _overlay(namespace: str) -> Object:
    """The app is a file of this folder, in the image of the sidecar, which has Python."""
    container = [
        {
            "op": "add",
            "path": "/spec/template/spec/containers/0/command",
            "value": ["python3", "/app/app.py"],
        },
        {"op": "add", "path": "/spec/template/spec/containers/0/securityContext/runAsUser", "value": 65532},
        {
            "op": "add",
            "path": "/spec/template/spec/containers/0/volumeMounts/-",
            "value": {"name": "code", "mountPath": "/app"},
        },
        {
            "op": "add",
            "path": "/spec/template/spec/volumes/-",
            "value": {"name": "code", "configMap": {"name": "code"}},
        },
    ]
    # Of no class: it is bound to the volume that waits for it.
    claim = [{"op": "add", "path": "/spec/storageClassName", "value": ""}]
    return {
        "resources": ["../k8s"],
        "configMapGenerator": [{"name": "code", "namespace": namespace, "files": ["app.py"]}],
        "patches": [
            {"target": {"kind": "Deployment", "name": "shop"}, "patch": yaml.safe_dump(container)},
            {"target": {"kind": "PersistentVolumeClaim"}, "patch": yaml.safe_dump(claim)},
        ],
    }


def _volumes(mesh: Mesh) -> Iterator[Object]:
    """A folder of the node for each claim, which has no other storage to hope for."""
    for name in FACTORS:
        claim = f"data-{name}"
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{mesh.namespace}-{name}"},
            "spec": {
                "capacity": {"storage": "100Gi"},
                "accessModes": ["ReadWriteMany"],
                "storageClassName": "",
                "claimRef": {"namespace": mesh.namespace, "name": claim},
                "hostPath": {"path": f"{_node(mesh.namespace)}/{name}", "type": "DirectoryOrCreate"},
            },
        }


def _fill(mesh: Mesh) -> None:
    """By a Pod elsewhere that may write to the node's folders: in the mesh's namespace none may."""
    pod = f"{mesh.namespace}-fill"
    kubectl("apply", "-f", "-", given=yaml.safe_dump(_filler(mesh, pod)))
    try:
        kubectl("wait", "--for=condition=Ready", f"pod/{pod}", f"--timeout={SECONDS:.0f}s")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name in FACTORS:
                archive.add(mesh.folder / name, arcname=f"{name}/{name}")
        unpack = "import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall('/data')"
        kubectl("exec", "-i", pod, "--", "python3", "-c", unpack, given=packed.getvalue())
    finally:
        kubectl("delete", "pod", pod, "--now", "--ignore-not-found")


def _filler(mesh: Mesh, name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "securityContext": {"runAsUser": 0},
            "containers": [
                {
                    "name": "fill",
                    "image": f"{SIDECAR}:test",
                    "command": ["python3", "-c", "import signal; signal.pause()"],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }
            ],
            "volumes": [
                {"name": "data", "hostPath": {"path": _node(mesh.namespace), "type": "DirectoryOrCreate"}}
            ],
        },
    }


def _node(namespace: str) -> str:
    return f"/var/tmp/{namespace}"
