"""Pipelines for logs, held to what the sources write."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from infermesh.deploy.observability.logs import elasticsearch, filebeat, logstash
from infermesh.deploy.observability.logs.fields import FIELDS
from infermesh.description.read import Description

ROOT = Path(__file__).parents[4]

#: A field of ECS, OpenTelemetry or ours in Rust: the name in a pair with its value.
_PAIR = re.compile(r'\("((?:[a-z_]+\.)+[a-z_]+)",')

#: What Rust says of spans, or of ONNX Runtime's sessions, and not in the log.
_NOT_LOGGED = {
    "http.request.resend_count",
    "http.route",
    "infermesh.batch.requests",
    "infermesh.batch.rows",
    "session.inter_op.allow_spinning",
    "session.intra_op.allow_spinning",
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
}


def fields_of_python() -> Iterator[str]:
    """Keywords of all calls of `ecs`."""
    for package in ("mesh/infermesh", "servers/infermesh_servers", "sidecar/infermesh_sidecar"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    names = [word.arg for word in node.keywords if word.arg] if node.func.id == "ecs" else []
                    yield from (name.replace("__", ".") for name in names)


def fields_of_rust() -> Iterator[str]:
    """Pairs in sources, but for their tests."""
    for file in (ROOT / "native" / "crates").glob("*/src/**/*.rs"):
        source = file.read_text().partition("#[cfg(test)]")[0]
        yield from _PAIR.findall(source)


def test_every_field_that_is_written_has_a_type() -> None:
    python, rust = set(fields_of_python()), set(fields_of_rust())
    assert {"infermesh.model.name", "server.port"} <= python
    assert {"infermesh.attempts", "rpc.method"} <= rust
    assert (python | rust) - _NOT_LOGGED - FIELDS.keys() == set()


def test_the_template_has_each_field_as_an_object() -> None:
    template = elasticsearch.component_template()["template"]["mappings"]
    event = template["properties"]["event"]["properties"]
    assert event["duration"] == {"type": "long"}
    assert template["properties"]["trace"]["properties"].keys() == {"id", "ids"}


def test_the_stream_is_one_that_the_template_is_for(description: Description) -> None:
    (pattern,) = elasticsearch.index_template()["index_patterns"]
    pipeline = logstash.pipeline(description.mesh)
    assert 'data_stream_dataset => "infermesh"' in pipeline
    assert 'data_stream_namespace => "shop"' in pipeline
    assert pattern == "logs-infermesh-*"
    assert elasticsearch.index_template()["composed_of"] == [elasticsearch.COMPONENT]


def test_a_stream_has_no_hyphens_in_its_last_part(description: Description) -> None:
    mesh = description.mesh.model_copy(update={"name": "shop-of-today"})
    assert elasticsearch.namespace(mesh) == "shop_of_today"


def test_braces_of_the_pipeline_are_closed(description: Description) -> None:
    depth = 0
    for char in re.sub(r"#.*|\$\{\w+\}", "", logstash.pipeline(description.mesh)):
        depth += {"{": 1, "}": -1}.get(char, 0)
        assert depth >= 0
    assert depth == 0


def test_pods_are_read_of_the_mesh_alone(description: Description) -> None:
    (read,) = filebeat.configuration(description, "prod")["filebeat.inputs"]
    assert read["paths"][0] == "/var/log/containers/fraud-*_prod_*.log"
    assert [next(iter(parser)) for parser in read["parsers"]] == ["container", "ndjson"]
    (read,) = filebeat.configuration(description)["filebeat.inputs"]
    assert [next(iter(parser)) for parser in read["parsers"]] == ["ndjson"]
