"""Rendered Pods for `podman kube play`, which is not Kubernetes: what it lacks is made up for here alone.

Services are not here: a network gives all Pods of a Deployment one name.
"""

import copy
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support import podman
from support.kubernetes_render import Manifests

Object = dict[str, Any]


@dataclass(frozen=True)
class Node:
    """What kubelet and operators would have put on this machine."""

    #: A folder for each PersistentVolumeClaim, by its name.
    claims: Path
    #: A folder for each Secret, by its name.
    secrets: Path

    def pods(self, deployment: Object) -> Iterator[Object]:
        """One for each replica; podman makes one of a Deployment, however many it asks for."""
        name = deployment["metadata"]["name"]
        template = deployment["spec"]["template"]
        for number in range(deployment["spec"]["replicas"]):
            pod = f"{name}-{number}"
            metadata = {**template["metadata"], "name": pod}
            spec = self._played(copy.deepcopy(template["spec"]), pod)
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    def _played(self, spec: Object, pod: str) -> Object:
        # To podman it would be an init container like others, whose end is waited for.
        spec["containers"] += [
            {name: value for name, value in sidecar.items() if name != "restartPolicy"}
            for sidecar in spec.pop("initContainers", [])
        ]
        for volume in spec["volumes"]:
            self._mount(volume, spec, pod)
        for container in spec["containers"]:
            # Of what is only said of a port podman would make one of the machine, where two Pods cannot share
            # it; and of a named one that is probed, port 0. Tests ask probes themselves.
            for field in ("ports", "livenessProbe"):
                container.pop(field, None)
            _give_python(container)
        spec["volumes"] += [
            {"name": _machine(number), "hostPath": {"path": path}}
            for number, path in enumerate(podman.mounts())
        ]
        return spec

    def _mount(self, volume: Object, spec: Object, pod: str) -> None:
        mounted = [it for container in spec["containers"] for it in container["volumeMounts"]]
        mounts = [it for it in mounted if it["name"] == volume["name"]]
        if "emptyDir" in volume:
            # Podman's are called as they are here, and so would be those of all Pods: one.
            volume["name"] = f"{pod}-{volume['name']}"
            for mount in mounts:
                mount["name"] = volume["name"]
        elif "secret" in volume:
            # Podman mounts them as they are encoded, and knows neither a mode nor a group.
            secret = volume.pop("secret")
            folder = self.secrets / secret["secretName"]
            _give(folder, spec["securityContext"]["fsGroup"], secret["defaultMode"])
            volume["hostPath"] = {"path": str(folder)}
        elif "persistentVolumeClaim" in volume:
            # Podman knows nothing of folders in a volume.
            (path,) = {mount.pop("subPath") for mount in mounts}
            claim = volume.pop("persistentVolumeClaim")["claimName"]
            volume["hostPath"] = {"path": str(self.claims / claim / path)}


def config_maps(manifests: Manifests) -> Iterator[Object]:
    """What kustomize makes of files, but for the digests in their names."""
    kustomization = yaml.safe_load((manifests.folder / "kustomization.yaml").read_text(encoding="utf-8"))
    for made in kustomization["configMapGenerator"]:
        files = [manifests.folder / path for path in made["files"]]
        data = {file.name: file.read_text(encoding="utf-8") for file in files}
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": made["name"]}, "data": data}


def _give(folder: Path, group: int, mode: int) -> None:
    """The files of a folder to a group, as kubelet does."""
    for it in (folder, *folder.rglob("*")):
        os.chown(it, 0, group, follow_symlinks=False)
        if not it.is_symlink():
            it.chmod(0o750 if it.is_dir() else mode)


def _give_python(container: Object) -> None:
    """What an image of infermesh would hold, and this one has from the machine."""
    container["volumeMounts"] += [
        {"name": _machine(number), "mountPath": path, "readOnly": True}
        for number, path in enumerate(podman.mounts())
    ]
    python = {"name": "PYTHONPATH", "value": os.environ.get("PYTHONPATH", "")}
    container["env"] = [*container.get("env", []), python]


def _machine(number: int) -> str:
    return f"machine-{number}"
