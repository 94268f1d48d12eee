"""Model servers under KServe."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command_line import Outcome
from support.kubernetes_schemas import custom_mistakes, missing_custom

Capture = pytest.CaptureFixture[str]

MESH = """
servers:
  fraud:
    models: s3://models/fraud
    load: [fraud]
    environment: {OMP_NUM_THREADS: "2"}
    placement: {gpu: 1, autoscale: {min: 2, max: 6}}
  ranking: models
apps:
  shop: {port: 8070, image: registry.example/shop:1}
"""


def rendered(capsys: Capture, folder: Path, text: str) -> tuple[Outcome, dict[str, dict[str, Any]]]:
    (folder / "models/ranking/1").mkdir(parents=True, exist_ok=True)
    (folder / "mesh.yaml").write_text(text, encoding="utf-8")
    outcome = Outcome(capsys, "render", "kserve", folder / "mesh.yaml", "-o", folder / "out", "-n", "shop")
    files = sorted((folder / "out").glob("*.yaml"))
    return outcome, {file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


def test_a_runtime_of_each_server(capsys: Capture, tmp_path: Path) -> None:
    outcome, files = rendered(capsys, tmp_path, MESH)
    assert outcome.code == 0
    assert files["kustomization.yaml"]["resources"] == [
        "fraud-runtime.yaml",
        "fraud-service.yaml",
        "ranking-runtime.yaml",
    ]
    spec = files["fraud-runtime.yaml"]["spec"]
    assert spec["protocolVersions"] == ["v2", "grpc-v2"]
    assert spec["supportedModelFormats"] == [{"name": "onnx", "version": "1", "autoSelect": False}]
    (container,) = spec["containers"]
    assert container["name"] == "kserve-container"
    assert container["image"].startswith("infermesh/server-cuda:")
    command = container["args"]
    assert command[:2] == ["serve", "/mnt/models"]
    assert command[command.index("--grpc-port") + 1] == "9000"
    assert command[command.index("--http-port") + 1] == "8080"
    assert command[command.index("--load-model") + 1] == "fraud"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    if missing_custom() is None:
        resources = [it for it in files.values() if it["kind"] != "Kustomization"]
        assert custom_mistakes(resources) == []


def test_a_service_where_the_repository_is_a_url(capsys: Capture, tmp_path: Path) -> None:
    _, files = rendered(capsys, tmp_path, MESH)
    predictor = files["fraud-service.yaml"]["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 6)
    assert predictor["model"]["storageUri"] == "s3://models/fraud"
    assert predictor["model"]["runtime"] == "fraud"
    assert predictor["model"]["protocolVersion"] == "grpc-v2"
    assert predictor["model"]["ports"] == [{"name": "h2c", "containerPort": 9000, "protocol": "TCP"}]


def test_it_mounts_one_repository(capsys: Capture, tmp_path: Path) -> None:
    text = MESH.replace("models: s3://models/fraud", "models: [s3://models/fraud, s3://models/more]")
    outcome, _ = rendered(capsys, tmp_path, text)
    assert outcome.code != 0
    assert "mesh.yaml:3: " in outcome.err
    assert "found 2 model repositories" in outcome.err
