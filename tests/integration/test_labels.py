"""Versions by their labels."""

from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, outputs, refused, request
from support.repository import Repository
from support.rest import HTTP, Rest, json_request, triton_client
from support.server import Serve, Server


def config(labels: str, versions: str = "all {}") -> str:
    return (
        f"version_policy {{ {versions} }}\n"
        f'parameters {{ key: "version_labels" value {{ string_value: "{labels}" }} }}\n'
    )


@pytest.fixture
def three(repository: Repository) -> Repository:
    """Version N of the model multiplies by N."""
    for version in (2, 3, 4):
        repository.onnx("scale", onnx_models.scale(version), version=version)
    repository.config("scale", config("stable=3, canary=4, old=2, next=9"))
    repository.onnx("plain", onnx_models.identity())
    return repository


@pytest.fixture
def server(serve: Serve, three: Repository) -> Server:
    server = serve("--model-control-mode", "poll", "--repository-poll-secs", "0.1", *HTTP)
    server.wait_ready()
    assert three.root.is_dir()
    return server


def factor(client: Client, version: str) -> tuple[str, float]:
    response = client.infer(request("scale", version=version, x=floats(1, 4, start=1)))
    return response.model_version, float(outputs(response)["y"][0, 0])


def test_a_label_answers_with_the_number(client: Client) -> None:
    assert [factor(client, label) for label in ("stable", "canary", "old", "", "3")] == [
        ("3", 3),
        ("4", 4),
        ("2", 2),
        ("4", 4),
        ("3", 3),
    ]


def test_every_call_over_grpc_takes_a_label(server: Server) -> None:
    with triton.InferenceServerClient(server.target) as client:
        assert client.is_model_ready("scale", "stable", client_timeout=SECONDS)
        assert not client.is_model_ready("scale", "beta", client_timeout=SECONDS)
        assert not client.is_model_ready("scale", "next", client_timeout=SECONDS)
        metadata = client.get_model_metadata("scale", "stable", client_timeout=SECONDS)
        assert list(metadata.versions) == ["3"]
        assert client.get_model_config("scale", "stable", client_timeout=SECONDS).config.name == "scale"
        (found,) = client.get_inference_statistics("scale", "stable", client_timeout=SECONDS).model_stats
        assert found.version == "3"
        tensor = triton.InferInput("x", [1, 4], "FP32")
        tensor.set_data_from_numpy(floats(1, 4, start=1))
        result = client.infer("scale", [tensor], model_version="canary", client_timeout=SECONDS)
        assert result.get_response().model_version == "4"


def test_a_stream_takes_a_label(client: Client) -> None:
    asked = request("scale", version="stable", x=floats(1, 4, start=1))
    (answer,) = client.stream([asked])
    assert answer.infer_response.model_version == "3"


def test_every_path_over_http_takes_a_label(server: Server) -> None:
    with Rest(server.http_port) as rest:
        path = "/v2/models/scale/versions/stable"
        assert rest.get(f"{path}/ready").status == 200
        assert rest.get(path).json["versions"] == ["3"]
        assert rest.get(f"{path}/config").json["name"] == "scale"
        assert rest.get(f"{path}/stats").json["model_stats"][0]["version"] == "3"
        answer = rest.post(f"{path}/infer", json_request("FP32", [1, 4], [1, 1, 1, 1]))
        assert answer.json["model_version"] == "3"
        assert answer.json["outputs"][0]["data"] == [3, 3, 3, 3]
        assert rest.get("/v2/models/scale/versions/beta").status == 404
    with triton_client(server.http_port) as http:
        assert http.is_model_ready("scale", "canary")


LABELS = "its labels are canary, next, old, stable"


@pytest.mark.parametrize("label", ["beta", "Stable", " stable", "stable ", "1x", "✓", "stable,canary"])
def test_an_unknown_label_lists_those_there_are(client: Client, label: str) -> None:
    message = f"'scale' has no version labelled '{label}'"
    with refused(grpc.StatusCode.NOT_FOUND, message, LABELS):
        factor(client, label)
    calls: list[tuple[Any, Any]] = [
        (client.inference.ModelMetadata, pb.ModelMetadataRequest),
        (client.inference.ModelConfig, pb.ModelConfigRequest),
        (client.inference.ModelStatistics, pb.ModelStatisticsRequest),
    ]
    for call, kind in calls:
        with refused(grpc.StatusCode.NOT_FOUND, message):
            call(kind(name="scale", version=label), timeout=SECONDS)


@pytest.mark.parametrize("version", ["0", "-1", "9" * 30, "1.5", "1e3"])
def test_a_number_that_is_no_version_stays_one(client: Client, version: str) -> None:
    with refused(
        grpc.StatusCode.INVALID_ARGUMENT, "failed to get model version from specified version string"
    ):
        factor(client, version)


def test_a_model_without_labels_knows_numbers_only(client: Client) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "failed to get model version", "'stable'"):
        client.infer(request("plain", version="stable", x=floats(1, 4)))


def test_a_label_without_its_version_is_told_and_refused(server: Server, client: Client) -> None:
    record = server.wait_for("model-warning", lambda record: "'next'" in record["message"])
    assert "the label 'next' names version 9, which is not served" in record["message"]
    with refused(grpc.StatusCode.NOT_FOUND, "'scale' version 9 ('next') is not found"):
        factor(client, "next")


def test_labels_turn_without_a_load(server: Server, client: Client, three: Repository) -> None:
    loads = [record for record in server.records if record.get("event.action") == "model-loaded"]
    three.config("scale", config("stable=4, old=3"))
    server.wait_for("model-labelled", lambda record: record["infermesh.model.labels"] == "old=3, stable=4")
    assert factor(client, "stable") == ("4", 4)
    with refused(grpc.StatusCode.NOT_FOUND, "labelled 'canary'"):
        factor(client, "canary")
    assert loads == [record for record in server.records if record.get("event.action") == "model-loaded"]


def test_a_new_version_is_ready_before_its_label_turns(
    server: Server, client: Client, three: Repository
) -> None:
    three.onnx("scale", onnx_models.scale(5.0), version=5)
    three.config("scale", config("stable=5", "specific { versions: [ 5 ] }"))
    seen = {factor(client, "stable")}
    while ("5", 5.0) not in seen:
        seen.add(factor(client, "stable"))
    assert seen <= {("3", 3.0), ("5", 5.0)}
    server.wait_for("model-unloaded", lambda record: record["infermesh.model.version"] == 4)


def test_labels_stay_while_a_new_version_is_broken(server: Server, client: Client, three: Repository) -> None:
    three.onnx("scale", b"broken", version=5)
    three.config("scale", config("stable=5", "specific { versions: [ 5 ] }"))
    server.wait_for("model-load-failed")
    # Two more looks at the repository find nothing new in it.
    three.onnx("second", onnx_models.identity())
    server.wait_for("model-loaded", lambda record: record["infermesh.model.name"] == "second")
    three.onnx("third", onnx_models.identity())
    server.wait_for("model-loaded", lambda record: record["infermesh.model.name"] == "third")
    assert factor(client, "stable") == ("3", 3)
    assert factor(client, "") == ("4", 4)
    assert client.inference.ServerReady(pb.ServerReadyRequest(), timeout=SECONDS).ready


@pytest.mark.parametrize(
    "labels", ["3=stable", "stable", "stable=", "stable=0", "stable=3,stable=4", "1a=3", ","]
)
def test_labels_that_make_no_sense_are_a_mistake_with_its_line(
    serve: Serve, repository: Repository, labels: str
) -> None:
    repository.onnx("scale", onnx_models.scale(2.0), config=config(labels))
    server = serve()
    record = server.wait_for("model-load-failed")
    assert "config.pbtxt:2: parameters: version_labels: found" in record["error.message"]
