"""Rules of one mesh among several."""

import re

import pytest
from infermesh.deploy.observability.rules import rules
from infermesh.deploy.observability.scope import narrowed
from infermesh.description.read import Description

OURS = 'mesh="shop",namespace="prod"'


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("up == 0", f"up{{{OURS}}} == 0"),
        ('rate(nv_x{a="b"}[5m])', f'rate(nv_x{{{OURS},a="b"}}[5m])'),
        ("model:infermesh_x:rate5m > 0", f"model:infermesh_x:rate5m{{{OURS}}} > 0"),
        ("a / on (mesh, workload) infermesh:y:ratio", f"a / on (mesh, workload) infermesh:y:ratio{{{OURS}}}"),
        ("process_a/process_b", f"process_a{{{OURS}}}/process_b{{{OURS}}}"),
        ("vector(1) unless group", "vector(1) unless group"),
    ],
)
def test_series_are_narrowed(expression: str, expected: str) -> None:
    (group,) = narrowed([{"name": "g", "rules": [{"record": "r", "expr": expression}]}], "shop", "prod")
    assert group == {"name": "g", "rules": [{"record": "r", "expr": expected}]}


def test_outside_of_kubernetes_there_is_no_namespace(description: Description) -> None:
    measured = [rule["expr"] for group in rules(description)["groups"][1:] for rule in group["rules"]]
    assert all('mesh="shop",namespace=""' in expression for expression in measured)
    # By the name of the metric, nothing is left as it was.
    assert not [it for it in measured if re.search(r"(?:infermesh|nv|process)_\w+(?![\w:{])", it)]
