"""Pods are replaced as the rendered Deployment says, under load and without a request that fails."""

import contextlib
import datetime
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from infermesh.identity.authority import Authority
from support import onnx_models
from support.client import floats, request
from support.echo_app import echoing
from support.identities import issue
from support.kubernetes_render import Manifests, rendered
from support.rendered_pods import server_arguments, sidecar_file
from support.repository import Repository
from support.server import Server
from support.sidecar import SECONDS, Sidecar
from support.steady_load import SteadyLoad

MESH = """
name: checkout
servers:
  fraud: {models: models, timeout: 20s, placement: {replicas: 2}}
apps:
  shop: {image: "registry.example/shop:1", port: 8070, calls: fraud}
"""

#: Requests a second, and between two Pods.
RATE, BETWEEN = 200, 50

REQUEST = request("scale", x=floats(1, 1))


@dataclass
class Rollout:
    """A Deployment's Pods, which are servers here, and the EndpointSlice that the sidecar follows."""

    manifests: Manifests
    models: Path
    identity: Path
    endpoints: Path
    sidecar: Sidecar | None = None
    pods: list[Server] = field(default_factory=list)
    _changes: int = 0

    def start(self) -> Server:
        """A Pod more; it is ready when this returns, as its probe has it, and nobody knows of it yet."""
        arguments = server_arguments(self._pod, self.models, self.identity)
        server = Server(*arguments)
        self.pods.append(server)
        asked = self._container["readinessProbe"]["httpGet"]
        assert asked["port"] == "http"
        _until_ready(f"http://127.0.0.1:{server.http_port}{asked['path']}")
        return server

    def publish(self, pods: Sequence[Server]) -> None:
        """These are endpoints from now on; returns when the sidecar has heard of it."""
        part = self.endpoints.with_suffix(".part")
        part.write_text(yaml.safe_dump({"fraud": [it.target for it in pods]}), encoding="utf-8")
        part.rename(self.endpoints)
        if self.sidecar is not None:
            self._changes += 1
            changes = self._changes
            self.sidecar.wait_for("endpoints-changed", lambda _: self._heard() >= changes)

    def end(self, server: Server) -> None:
        """As kubelet ends a Pod of which nobody is told any more; it has as long as the Pod says."""
        server.terminate()
        left = self._pod["terminationGracePeriodSeconds"] - self.pause
        assert server.wait(left) == 0, server.transcript()
        self.pods.remove(server)

    def kill(self) -> None:
        """End what is left of it."""
        for server in self.pods:
            server.kill()

    @property
    def pause(self) -> float:
        """Seconds between the moment from which nobody is told of a Pod and its end, as the Pod says."""
        return float(self._container["lifecycle"]["preStop"]["sleep"]["seconds"])

    @property
    def _pod(self) -> dict[str, Any]:
        return self.manifests.pod("fraud")

    @property
    def _container(self) -> dict[str, Any]:
        (found,) = self._pod["containers"]
        return dict(found)

    def _heard(self) -> int:
        assert self.sidecar is not None
        return self.sidecar.actions().count("endpoints-changed")


def _until_ready(url: str) -> None:
    end = time.monotonic() + SECONDS
    while True:
        with (
            contextlib.suppress(OSError, urllib.error.HTTPError),
            urllib.request.urlopen(url, timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def rollout(tmp_path: Path) -> Iterator[Rollout]:
    """Two Pods, and a sidecar that knows them."""
    manifests = rendered(tmp_path / "rendered", "none", MESH)
    models = Repository.make(tmp_path / "repository")
    models.onnx("scale", onnx_models.scale(3.0, ("n", 1)))
    authority = Authority.create("checkout.local", datetime.datetime.now(datetime.UTC))
    fraud, shop = (issue(authority, tmp_path, name) for name in ("fraud", "shop"))
    found = Rollout(manifests, models.root, fraud, tmp_path / "endpoints.yaml")
    with echoing() as app, contextlib.ExitStack() as stack:
        stack.callback(found.kill)
        found.publish([found.start(), found.start()])
        where = {"endpoints_file": found.endpoints.name}
        config = sidecar_file(manifests.sidecar("shop"), tmp_path, app, where, shop)
        found.sidecar = Sidecar("--config", config)
        stack.callback(found.sidecar.kill)
        found.sidecar.wait_for("sidecar-ready")
        yield found


@contextlib.contextmanager
def load(rollout: Rollout) -> Iterator[SteadyLoad]:
    """As the app calls; none of it may fail."""
    assert rollout.sidecar is not None
    with SteadyLoad(f"127.0.0.1:{rollout.sidecar.port('outbound')}", REQUEST, RATE) as steady:
        steady.send(BETWEEN)
        yield steady
        steady.send(BETWEEN)
    assert steady.told.failed == 0, steady.told


def test_two_rollouts_cost_no_request(rollout: Rollout) -> None:
    spec = rollout.manifests.one("Deployment", "fraud")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    with load(rollout) as steady:
        for _ in range(2):
            for old in list(rollout.pods):
                fresh = rollout.start()
                rollout.publish(rollout.pods)
                steady.send(BETWEEN)
                begun = time.monotonic()
                rollout.publish([it for it in rollout.pods if it is not old])
                # Kubelet waits so long before it ends the Pod, and no longer.
                assert time.monotonic() - begun < rollout.pause
                rollout.end(old)
                assert fresh.running
                steady.send(BETWEEN)


def test_a_pod_that_ends_before_anybody_is_told_costs_none_either(rollout: Rollout) -> None:
    """The news may be late, as where a control plane is busy."""
    with load(rollout) as steady:
        for old in list(rollout.pods):
            rollout.start()
            rollout.publish(rollout.pods)
            steady.send(BETWEEN)
            rollout.end(old)
            steady.send(BETWEEN)
            rollout.publish(rollout.pods)
