"""Everything that is rendered is what Kubernetes and the service meshes take."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from infermesh.deploy.kubernetes.flavours.known import FLAVOURS
from support.kubernetes_render import MESH, Manifests, rendered
from support.kubernetes_schemas import core_mistakes, custom_mistakes, missing_core, missing_custom

PLAINTEXT = MESH + "\ntls: off\n"

CANARY = MESH.replace(
    "    timeout: 90s\n", "    timeout: 90s\n    canary: {share: 2.5%, models: s3://next}\n"
)

KUBECTL = shutil.which("kubectl")


@pytest.fixture(params=[(flavour, text) for flavour in FLAVOURS for text in (MESH, PLAINTEXT, CANARY)])
def manifests(request: pytest.FixtureRequest, tmp_path: Path) -> Manifests:
    flavour, text = request.param
    return rendered(tmp_path, flavour, text)


@pytest.mark.skipif(missing_core() is not None, reason=missing_core() or "")
def test_core_objects(manifests: Manifests) -> None:
    assert core_mistakes(manifests.objects) == []


@pytest.mark.skipif(missing_custom() is not None, reason=missing_custom() or "")
def test_custom_resources(manifests: Manifests) -> None:
    assert custom_mistakes(manifests.objects) == []


def built(folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(folder)], check=True, capture_output=True, text=True, timeout=60
    )
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_kustomize_builds_all_of_it(manifests: Manifests) -> None:
    objects = built(manifests.folder)
    assert {it["metadata"]["labels"]["app.kubernetes.io/part-of"] for it in objects} == {"checkout"}
    found = {(it["kind"], it["metadata"]["name"]) for it in objects}
    assert found >= {(it["kind"], it["metadata"]["name"]) for it in manifests.objects}


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_pods_are_replaced_when_the_configuration_is_different(tmp_path: Path) -> None:
    def pods(text: str) -> dict[str, Any]:
        objects = built(rendered(tmp_path, "none", text).folder)
        return {
            it["metadata"]["name"]: it["spec"]["template"] for it in objects if it["kind"] == "Deployment"
        }

    before, after = pods(MESH), pods(MESH.replace("timeout: 90s", "timeout: 80s"))
    assert before["shop"] != after["shop"]
    assert before["ranking"] == after["ranking"]
    assert before["worker"] == after["worker"]
