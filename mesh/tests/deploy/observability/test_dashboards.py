"""Dashboards: what Grafana needs of them, and that what they ask for is written and can be read."""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from infermesh.deploy import yaml_text
from infermesh.deploy.observability.dashboards import dashboards
from infermesh.deploy.observability.rules import rules
from infermesh.description.read import Description
from support.prometheus import needs_promtool, promtool

DASHBOARDS = {name: json.loads(text) for name, text in dashboards().items()}


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARDS[name]["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    for name in DASHBOARDS:
        for panel in panels(name):
            yield from (target["expr"] for target in panel["targets"])


def test_links_to_them_stay() -> None:
    assert list(DASHBOARDS) == [
        "infermesh-overview",
        "infermesh-models",
        "infermesh-sidecars",
        "infermesh-processes",
    ]
    assert all(name == it["uid"] for name, it in DASHBOARDS.items())


@pytest.mark.parametrize("name", DASHBOARDS)
def test_grafana_knows_each_field(name: str) -> None:
    reason = "no grafana-foundation-sdk here, which has Grafana's own model of dashboards"
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard", reason=reason)
    importlib.import_module("grafana_foundation_sdk.cog.plugins").register_default_plugins()
    encoder = importlib.import_module("grafana_foundation_sdk.cog.encoder").JSONEncoder
    read = models.Dashboard.from_json(json.loads(dashboards()[name]))
    again = json.loads(json.dumps(read, cls=encoder))
    assert list(differences(DASHBOARDS[name], again)) == []


def differences(given: Any, read: Any, where: str = "") -> Iterator[str]:
    """Where something given was not read; what is read beyond it are defaults."""
    if isinstance(given, dict) and isinstance(read, dict):
        for field, value in given.items():
            yield from differences(value, read.get(field), f"{where}.{field}")
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for index, (one, other) in enumerate(zip(given, read, strict=True)):
            yield from differences(one, other, f"{where}[{index}]")
    elif given != read:
        yield f"{where}: {read!r} in place of {given!r}"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_each_panel_has_its_place(name: str) -> None:
    found = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        place = panel["gridPos"]
        cells = {
            (place["x"] + across, place["y"] + down)
            for across in range(place["w"])
            for down in range(place["h"])
        }
        assert max(across for across, _ in cells) < 24
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("name", DASHBOARDS)
def test_who_looks_chooses_the_source_and_whose_it_is(name: str) -> None:
    chosen = [it["name"] for it in DASHBOARDS[name]["templating"]["list"]]
    assert chosen[:4] == ["datasource", "mesh", "namespace", "workload"]
    for panel in panels(name):
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= set(chosen)
            assert 'workload=~"$workload"' in target["expr"]


def test_what_is_recorded_is_recorded_by_a_rule(description: Description) -> None:
    recorded = {rule.get("record") for group in rules(description)["groups"] for rule in group["rules"]}
    asked = {name for expression in expressions() for name in re.findall(r"\b\w+:\w+(?::\w+)?", expression)}
    assert asked
    assert asked <= recorded


@needs_promtool
def test_prometheus_reads_each_expression(tmp_path: Path) -> None:
    found = [
        {"record": f"panel:{index}", "expr": expression} for index, expression in enumerate(expressions())
    ]
    named = [{**rule, "record": rule["record"].replace(":", ":n")} for rule in found]
    file = tmp_path / "rules.yml"
    file.write_text(yaml_text.one({"groups": [{"name": "panels", "rules": named}]}))
    assert f"{len(found)} rules found" in promtool("check", "rules", file)
