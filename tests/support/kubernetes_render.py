"""A mesh that uses most of what there is, rendered for Kubernetes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from infermesh.deploy.kubernetes.flavours.known import FLAVOURS
from infermesh.deploy.kubernetes.render import render
from infermesh.deploy.output import write
from infermesh.description.read import read

NAMESPACE = "shopping"

MESH = """
name: checkout
collector: http://collector.observability:4317
images: {tag: "1.2"}
servers:
  fraud:
    models: models
    timeout: 90s
    retry: {max_attempts: 3, per_try_timeout: 250ms}
    breaker: {consecutive_failures: 4}
    outlier: true
    health_check: true
    balance: {decay: 5s}
    pool: {max_connections: 2}
    concurrency: {limit: 64}
    expose: models.example.com
    environment: {OMP_NUM_THREADS: "2"}
    placement: {replicas: 3, gpu: 1, cpu: 2, memory: 4GiB, spread: zone}
  ranking:
    models: s3://models/ranking
    load: ranking
    retry: false
    breaker: false
    placement: {autoscale: {min: 2, max: 6}}
apps:
  shop:
    image: registry.example/shop:7
    run: python shop.py
    port: 8070
    health: /healthz
    calls: [fraud, ranking]
    expose: shop.example.com
    copies: {directory: captures}
    shutdown: {drain_delay: 2s, drain_timeout: 20s}
  worker:
    image: registry.example/worker:7
    port: 8071
    calls: ranking
"""


@dataclass(frozen=True)
class Manifests:
    """What was rendered."""

    folder: Path

    @cached_property
    def objects(self) -> Sequence[dict[str, Any]]:
        """All of them, without what kustomize makes."""
        listed = yaml.safe_load((self.folder / "kustomization.yaml").read_text(encoding="utf-8"))
        return [
            it
            for path in listed["resources"]
            for it in yaml.safe_load_all((self.folder / path).read_text(encoding="utf-8"))
        ]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """One of them."""
        return next(it for it in self.objects if (it["kind"], it["metadata"]["name"]) == (kind, name))

    def has(self, kind: str, name: str) -> bool:
        """Whether there is such a one."""
        return any((it["kind"], it["metadata"]["name"]) == (kind, name) for it in self.objects)

    def pod(self, name: str) -> dict[str, Any]:
        """What a Deployment makes Pods of."""
        found: dict[str, Any] = self.one("Deployment", name)["spec"]["template"]["spec"]
        return found

    def sidecar(self, name: str) -> Path:
        """The configuration of an app's sidecar."""
        return self.folder / f"files/{name}/sidecar/sidecar.yaml"


def rendered(folder: Path, flavour: str, text: str = MESH) -> Manifests:
    """A mesh in a folder, and what it comes to below it."""
    (folder / "models/fraud/1").mkdir(parents=True, exist_ok=True)
    file = folder / "mesh.yaml"
    file.write_text(text, encoding="utf-8")
    found = render(read(file), FLAVOURS[flavour], NAMESPACE, "monitoring")
    write(folder / "out" / flavour, found.files)
    return Manifests(folder / "out" / flavour)
