"""All files, as the command writes them."""

import json
from pathlib import Path

import pytest
import yaml
from infermesh import cli
from infermesh.description.read import Description


def render(*arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["render", "observability", *map(str, arguments)])
    assert not ended.value.code


def names(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_a_folder_of_all(description: Description, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    render(description.file, "-o", folder)
    assert names(folder) - {".infermesh-render.json"} == {
        "grafana/infermesh-models.json",
        "grafana/infermesh-overview.json",
        "grafana/infermesh-processes.json",
        "grafana/infermesh-sidecars.json",
        "logs/component-template-infermesh-fields.json",
        "logs/filebeat.yml",
        "logs/index-template-infermesh.json",
        "logs/infermesh.conf",
        "opentelemetry/collector.yaml",
        "prometheus/infermesh.rules.yml",
        "prometheus/prometheus.yml",
    }
    for file in folder.rglob("*.json"):
        json.loads(file.read_text())
    prometheus = yaml.safe_load((folder / "prometheus" / "prometheus.yml").read_text())
    assert (folder / "prometheus" / prometheus["rule_files"][0]).exists()


def test_a_cluster_gets_objects_beside_them(description: Description, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    render(description.file, "-o", folder, "-n", "prod", "--runbook", "https://wiki.example/mesh")
    assert "kubernetes.yaml" in names(folder)
    rules = (folder / "prometheus" / "infermesh.rules.yml").read_text()
    assert "https://wiki.example/mesh#infermeshbreakeropen" in rules
    assert "namespace: prod" in rules


def test_where_traces_go(description: Description, tmp_path: Path) -> None:
    render(description.file, "-o", tmp_path / "out", "--traces", "http://tempo:4318")
    collector = yaml.safe_load((tmp_path / "out" / "opentelemetry" / "collector.yaml").read_text())
    assert collector["exporters"]["otlp_http"]["endpoint"] == "http://tempo:4318"
