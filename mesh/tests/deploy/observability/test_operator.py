"""Objects for Prometheus' operator and Grafana."""

import json
import os
from pathlib import Path

import jsonschema
import pytest
from infermesh.deploy.observability import operator
from infermesh.description.read import Description

#: A folder GROUP/KIND_VERSION.json of the schemas that custom resources are published with.
SCHEMAS = os.environ.get("INFERMESH_CRD_SCHEMAS")


def test_a_port_is_scraped_of_those_that_have_it(description: Description) -> None:
    found = {it["metadata"]["name"]: it["spec"] for it in operator.podmonitors(description, "prod")}
    chosen = {name: spec["selector"]["matchExpressions"][0]["values"] for name, spec in found.items()}
    assert chosen == {"shop-8002": ["fraud", "slow"], "shop-15100": ["checkout"]}
    ports = {name: spec["podMetricsEndpoints"][0]["portNumber"] for name, spec in found.items()}
    assert ports == {"shop-8002": 8002, "shop-15100": 15100}


def test_all_is_in_the_namespace(description: Description) -> None:
    kinds = []
    for made in operator.objects(description, "prod"):
        assert made["metadata"]["namespace"] == "prod"
        kinds.append(made["kind"])
    assert kinds == ["PodMonitor", "PodMonitor", "PrometheusRule", *["ConfigMap"] * 4]


@pytest.mark.skipif(SCHEMAS is None, reason="INFERMESH_CRD_SCHEMAS names no folder of schemas")
def test_the_operator_takes_it(description: Description) -> None:
    checked = 0
    for made in operator.objects(description, "prod"):
        group, _, version = made["apiVersion"].rpartition("/")
        if group:
            schema = json.loads(Path(SCHEMAS or "", group, f"{made['kind']}_{version}.json").read_text())
            assert list(jsonschema.Draft202012Validator(schema).iter_errors(made)) == []
            checked += 1
    assert checked == 3
