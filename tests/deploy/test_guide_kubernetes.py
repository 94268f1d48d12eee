"""docs/guides/kubernetes.md: its mesh is rendered, its manifests are valid, its overlays build."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from infermesh.deploy.kubernetes.flavour import Flavour
from infermesh.deploy.kubernetes.flavours.known import FLAVOURS
from infermesh.deploy.kubernetes.render import render
from infermesh.deploy.output import write
from infermesh.description.read import read
from support.kubernetes_schemas import core_mistakes, custom_mistakes, missing_core, missing_custom

GUIDE = Path(__file__).parents[2] / "docs/guides/kubernetes.md"

BLOCKS = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

KUBECTL = shutil.which("kubectl")


def blocks(about: str) -> list[str]:
    """Those that say so."""
    found = [it for it in BLOCKS if about in it]
    assert found
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the guide's mesh, rendered where the guide has it."""
    (tmp_path / "models/fraud/1").mkdir(parents=True)
    (tmp_path / "mesh.yaml").write_text(blocks("# mesh.yaml")[0], encoding="utf-8")
    description = read(tmp_path / "mesh.yaml", "production")
    rendered = render(description, FLAVOURS["none"], description.mesh.name, "monitoring")
    write(tmp_path / "k8s/production", rendered.files)
    return tmp_path


def test_the_environment_is_laid_over(folder: Path) -> None:
    text = (folder / "k8s/production/workloads/fraud.yaml").read_text(encoding="utf-8")
    assert "image: registry.example.com/infermesh/server:" in text
    assert "replicas: 6" in text


@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)
def test_the_canary_is_rendered(tmp_path: Path, flavour: Flavour) -> None:
    for folder in ("models", "models-next"):
        (tmp_path / folder / "fraud/1").mkdir(parents=True)
    (mesh,) = blocks("    canary: ")
    (tmp_path / "mesh.yaml").write_text(mesh, encoding="utf-8")
    rendered = render(read(tmp_path / "mesh.yaml"), flavour, "checkout", "monitoring")
    assert set(rendered.claims) == {"data-models", "data-models-next"}


def manifests() -> list[dict[str, Any]]:
    found = [yaml.safe_load(it) for it in blocks("apiVersion:")]
    return [it for it in found if "kind" in it]


@pytest.mark.skipif(missing_core() is not None, reason=missing_core() or "")
def test_core_manifests() -> None:
    assert core_mistakes(manifests()) == []


@pytest.mark.skipif(missing_custom() is not None, reason=missing_custom() or "")
def test_custom_manifests() -> None:
    assert custom_mistakes(manifests()) == []


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
@pytest.mark.parametrize("overlay", blocks("# overlay/kustomization.yaml"))
def test_overlays_build(folder: Path, overlay: str) -> None:
    (folder / "overlay").mkdir()
    (folder / "overlay/kustomization.yaml").write_text(overlay, encoding="utf-8")
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(folder / "overlay")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    values = [value for patch in yaml.safe_load(overlay)["patches"] for value in _values(patch["patch"])]
    built = list(yaml.safe_load_all(done.stdout))
    assert all(any(_has(it, value) for it in built) for value in values)


def _values(patch: str) -> list[Any]:
    return [step["value"] for step in yaml.safe_load(patch)]


def _has(found: Any, value: Any) -> bool:
    if found == value:
        return True
    below = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return any(_has(it, value) for it in below)
