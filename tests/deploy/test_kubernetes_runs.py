"""What is rendered runs: a model server and an app's sidecar, each in a Pod's network with a Pod's mounts."""

import datetime
import json
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from infermesh.identity.authority import Authority
from infermesh.identity.layout import OWN
from support import run_app
from support.kubernetes_render import Manifests, rendered
from support.namespaces import SERVER_ADDRESS, Machine, two_machines
from support.pods import PodFolder, may_mount
from support.process import Process
from support.repository import Repository

pytestmark = [
    pytest.mark.skipif(not may_mount(), reason="mounts of one's own need the right to make them"),
    # A Pod has a /tmp of its own.
    pytest.mark.skipif(
        Path(sys.executable).is_relative_to("/tmp"), reason="the Python in /tmp would be hidden"
    ),
]

MESH = """
name: checkout
servers: {fraud: models}
apps: {shop: {image: "registry.example/shop:1", port: 8070, health: /, calls: fraud}}
"""

MODEL = """
class Model:
    inputs = {"x": ("FP32", [-1])}
    outputs = {"y": ("FP32", [-1])}
    max_batch_size = 8

    def infer(self, batch):
        return {"y": batch["x"] + 1}
"""


@dataclass(frozen=True)
class Pods:
    """Of a server, and of an app, each on a machine of its own."""

    fraud: Machine
    shop: Machine
    identity: Path


def arguments(manifests: Manifests, name: str) -> list[str]:
    pod = manifests.pod(name)
    found: list[str] = pod.get("initContainers", pod["containers"])[0]["args"]
    return found


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    authority = Authority.create("checkout.local", datetime.datetime.now(datetime.UTC))
    manifests = rendered(tmp_path / "rendered", "none", MESH)
    with two_machines() as (there, here), ExitStack() as stack:

        def start(process: Process) -> Process:
            stack.callback(process.stop)
            return process

        fraud = PodFolder(tmp_path / "fraud", authority, "fraud", "")
        Repository.make(fraud.models).python("add", MODEL)
        server = start(fraud.run(there, arguments(manifests, "fraud")))
        shop = PodFolder(tmp_path / "shop", authority, "shop", f"{SERVER_ADDRESS} fraud-pods")
        shop.add_file(manifests.sidecar("shop"))
        sidecar = start(shop.run(here, arguments(manifests, "shop")))
        start(Process([*here.within, sys.executable, str(run_app.__file__), "8070"]))
        server.wait_for("server-ready")
        sidecar.wait_for("sidecar-ready")
        yield Pods(there, here, shop.identity)


def test_the_app_finds_a_model(pods: Pods) -> None:
    body = json.dumps({"x": [1.5]}).encode()
    with pods.shop.relay("127.0.0.1", 15101) as port:
        url = f"http://127.0.0.1:{port}/models/add"
        with urllib.request.urlopen(url, data=body, timeout=20) as answer:
            assert json.load(answer) == {"y": [2.5]}


def test_probes_find_what_they_ask(pods: Pods) -> None:
    for machine, port, path in (
        (pods.fraud, 8000, "/v2/health/live"),
        (pods.fraud, 8000, "/v2/health/ready"),
        (pods.shop, 15100, "/live"),
        (pods.shop, 15100, "/ready"),
    ):
        with (
            machine.relay("127.0.0.1", port) as near,
            urllib.request.urlopen(f"http://127.0.0.1:{near}{path}", timeout=20) as answer,
        ):
            assert answer.status == 200


def test_only_who_has_an_identity_is_let_in_to_the_app(pods: Pods) -> None:
    known = ssl.create_default_context(cafile=pods.identity / OWN.bundle)
    # An identity is a SPIFFE id, and no host name.
    known.check_hostname = False
    stranger = ssl.create_default_context(cafile=pods.identity / OWN.bundle)
    stranger.check_hostname = False
    known.load_cert_chain(pods.identity / OWN.certificate, pods.identity / OWN.key)
    with pods.shop.relay("127.0.0.1", 15106) as port:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/", context=known, timeout=20) as answer:
            assert answer.read() == b"here"
        with pytest.raises((urllib.error.URLError, OSError)):
            urllib.request.urlopen(f"https://127.0.0.1:{port}/", context=stranger, timeout=20)
        with pytest.raises((urllib.error.URLError, OSError)):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20)
