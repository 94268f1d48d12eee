"""`infermesh render kubernetes`: what it writes, what it says, and what it refuses with which line."""

from pathlib import Path

import pytest
from support.command_line import Outcome
from support.kubernetes_render import MESH

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models/fraud/1").mkdir(parents=True)
    return tmp_path


def run(capsys: Capture, folder: Path, text: str, *options: str) -> Outcome:
    (folder / "mesh.yaml").write_text(text, encoding="utf-8")
    arguments = ("render", "kubernetes", folder / "mesh.yaml", "-o", folder / "out", *options)
    return Outcome(capsys, *arguments)


def test_says_what_is_left_to_do(capsys: Capture, folder: Path) -> None:
    outcome = run(capsys, folder, MESH, "--mesh", "istio", "--namespace", "shopping")
    assert outcome.code == 0
    assert outcome.lines[-1] == "to be copied: models to models in PersistentVolumeClaim data-models"
    assert "namespace: shopping" in (folder / "out/workloads/shop.yaml").read_text()


def test_the_namespace_is_the_mesh_s_name(capsys: Capture, folder: Path) -> None:
    run(capsys, folder, MESH)
    assert "name: checkout" in (folder / "out/namespace.yaml").read_text()


def test_an_environment(capsys: Capture, folder: Path) -> None:
    production = "\nenvironments: {production: {servers: {fraud: {placement: {replicas: 9}}}}}\n"
    run(capsys, folder, MESH + production, "--environment", "production")
    assert "replicas: 9" in (folder / "out/workloads/fraud.yaml").read_text()


def test_again_leaves_nothing_behind(capsys: Capture, folder: Path) -> None:
    run(capsys, folder, MESH, "--mesh", "istio")
    outcome = run(capsys, folder, MESH, "--mesh", "none")
    assert outcome.code == 0
    assert not (folder / "out/istio.yaml").exists()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "    image: registry.example/worker:7\n",
            "",
            "mesh.yaml:35: apps.worker: found no image, expected image",
        ),
        ("  worker:\n", f"  {'w' * 59}:\n", "found a name of 59 characters, expected 58 at most"),
        ("  worker:\n", "  shop-pods:\n", "apps.shop-pods: found a name that a Service of shop has"),
    ],
)
def test_what_cannot_run_is_refused(
    capsys: Capture, folder: Path, before: str, after: str, expected: str
) -> None:
    assert before in MESH
    outcome = run(capsys, folder, MESH.replace(before, after))
    assert outcome.code != 0
    assert expected in " ".join(outcome.err.split())
    assert not (folder / "out").exists()


def test_what_nobody_would_check_is_refused(capsys: Capture, folder: Path) -> None:
    allow = "    health: /healthz\n    allow: {identities: spiffe://checkout.local/worker}\n"
    text = MESH.replace("    health: /healthz\n", allow)
    outcome = run(capsys, folder, text + "tls: off\n", "--mesh", "istio")
    assert "apps.shop: found identities in allow" in " ".join(outcome.err.split())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--mesh", "istoi"), "--mesh: found 'istoi', expected istio"),
        (("--namespace", "Shop"), "--namespace: found 'Shop', expected a name of small letters"),
    ],
)
def test_options(capsys: Capture, folder: Path, options: tuple[str, ...], expected: str) -> None:
    outcome = run(capsys, folder, MESH, *options)
    assert outcome.code != 0
    assert expected in " ".join(outcome.err.split())
