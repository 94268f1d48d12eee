"""The served OpenAPI document: valid, complete, and true of what the server answers."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from support import onnx_models
from support.repository import Repository
from support.rest import HEADER_LENGTH, HTTP, Answer, Rest, json_request
from support.server import LOOPBACK, Server, serving
from support.shared_memory import memory

GOOD = json_request("FP32", [1, 4], [1, 2, 3, 4], id="7")
WRONG = json_request("FP32", [1, 4], [1])
JSON = "application/json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = Repository.make(tmp_path_factory.mktemp("openapi"))
    repository.onnx("m", onnx_models.identity())
    repository.onnx("other", onnx_models.identity())
    options = (*LOOPBACK, *HTTP)
    control = ("--model-control-mode", "explicit", "--load-model", "m")
    with serving(repository.root, *options, *control) as server:
        yield server


@pytest.fixture
def document(rest: Rest) -> Any:
    return rest.get("/v2/openapi.json").json


class Truth:
    """Holds answers against the document, and remembers what has been asked."""

    def __init__(self, document: Any, rest: Rest) -> None:
        self.document = document
        self.rest = rest
        self.asked: set[tuple[str, str]] = set()

    def ask(self, method: str, path: str, body: object = b"", *, status: int = 200, **names: str) -> Answer:
        """Make one request of a documented path; its body and its answer are what the document says."""
        operation = self.document["paths"][path][method]
        self.asked.add((method, path))
        if isinstance(body, dict) and status == 200:
            self.check(operation["requestBody"]["content"][JSON]["schema"], body)
        answer = self.rest.call(method.upper(), path.format(**names), body)
        assert answer.status == status, (path, answer.body)
        self.hold(operation, answer)
        return answer

    def hold(self, operation: Any, answer: Answer) -> None:
        """One answer against an operation."""
        said = self.resolved(operation["responses"][str(answer.status)])
        content = said.get("content", {})
        if not content:
            assert answer.body == b""
            return
        kind = answer.headers["content-type"]
        assert kind in content
        if kind == JSON:
            self.check(content[JSON]["schema"], answer.json)
            return
        length = int(answer.headers[HEADER_LENGTH.lower()])
        self.check(content[JSON]["schema"], json.loads(answer.body[:length]))

    def check(self, schema: Any, value: object) -> None:
        """A value against a schema of the document."""
        whole = {**schema, "components": self.document["components"]}
        Draft202012Validator(whole).validate(value)

    def resolved(self, node: Any) -> Any:
        """What a reference stands for."""
        if "$ref" in node:
            _, *keys = node["$ref"].split("/")
            node = functools.reduce(lambda found, key: found[key], keys, self.document)
        return node


def test_it_is_valid(document: Any) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"


def test_examples_are_what_they_exemplify(document: Any, rest: Rest) -> None:
    truth = Truth(document, rest)
    found = [
        media
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
        for part in (operation.get("requestBody", {}), *map(truth.resolved, operation["responses"].values()))
        for media in part.get("content", {}).values()
        if "example" in media
    ]
    assert len(found) > 20
    for media in found:
        truth.check(media["schema"], media["example"])


def test_every_operation_answers_as_documented(document: Any, rest: Rest) -> None:
    truth = Truth(document, rest)
    ask = truth.ask
    ask("get", "/v2")
    ask("get", "/v2/openapi.json")
    ask("get", "/v2/health/live")
    ask("get", "/v2/health/ready")
    ask("get", "/v2/models/stats")
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        m: dict[str, Any] = {"model": "m", "version": "1"}
        absent: dict[str, Any] = {"model": "absent", "version": "1"}
        ask("post", f"{path}/infer", GOOD, **m)
        ask("post", f"{path}/infer", {**GOOD, "parameters": {"binary_data_output": True}}, **m)
        ask(
            "post",
            f"{path}/infer",
            {**GOOD, "outputs": [{"name": "y", "parameters": {"classification": 2}}]},
            **m,
        )
        ask("post", f"{path}/infer", WRONG, status=400, **m)
        ask("post", f"{path}/infer", GOOD, status=404, **absent)
        ask("get", path, **m)
        ask("get", path, status=404, **absent)
        ask("get", f"{path}/ready", **m)
        ask("get", f"{path}/ready", status=400, **absent)
        ask("get", f"{path}/config", **m)
        ask("get", f"{path}/config", status=404, **absent)
        assert ask("get", f"{path}/stats", **m).json["model_stats"][0]["inference_count"] > 0
        ask("get", f"{path}/stats", status=400, **absent)
    _settings(ask)
    _repository(ask)
    _shared_memory(ask)
    operations = {
        (method, path)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert truth.asked == operations


def _settings(ask: Any) -> None:
    ask("get", "/v2/trace/setting")
    ask("post", "/v2/trace/setting", {"trace_rate": "500"})
    ask("post", "/v2/trace/setting", {"trace_rate": 5}, status=400)
    ask("get", "/v2/models/{model}/trace/setting", model="m")
    ask("post", "/v2/models/{model}/trace/setting", {"trace_rate": None}, model="m")
    ask("get", "/v2/logging")
    ask("post", "/v2/logging", {"log_verbose_level": 0})
    ask("post", "/v2/logging", {"absent": 1}, status=400)


def _repository(ask: Any) -> None:
    load, unload = (f"/v2/repository/models/{{model}}/{action}" for action in ("load", "unload"))
    ask("post", load, {}, model="other")
    ask("post", load, {"parameters": {"config": '{"max_batch_size": 8}'}}, model="other")
    ask("post", load, {}, status=404, model="absent")
    ask("post", "/v2/repository/index", {"ready": True})
    ask("post", "/v2/repository/index", b"[", status=400)
    ask("post", unload, {"parameters": {"unload_dependents": False}}, model="other")


def _shared_memory(ask: Any) -> None:
    region = "/v2/systemsharedmemory/region/{region}"
    with memory(64) as shared:
        ask("post", f"{region}/register", {"key": shared.key, "byte_size": 64}, region="r")
        ask("post", f"{region}/register", {"key": shared.key, "byte_size": 64}, status=400, region="r")
        ask("post", f"{region}/register", {"key": "absent", "byte_size": 64}, status=500, region="x")
        ask("get", f"{region}/status", region="r")
        ask("get", f"{region}/status", status=404, region="x")
        ask("get", "/v2/systemsharedmemory/status")
        ask("post", f"{region}/unregister", region="r")
        ask("post", "/v2/systemsharedmemory/unregister")
    region = "/v2/cudasharedmemory/region/{region}"
    ask("get", "/v2/cudasharedmemory/status")
    ask("get", f"{region}/status", status=404, region="x")
    # There is no device here.
    handle = {"raw_handle": {"b64": "A" * 86 + "=="}, "device_id": 0, "byte_size": 64}
    ask("post", f"{region}/register", handle, status=400, region="r")
    ask("post", f"{region}/unregister", region="r")
    ask("post", "/v2/cudasharedmemory/unregister")
