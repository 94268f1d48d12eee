"""What HTTP tells about the server and its models: what gRPC tells, in JSON."""

import pytest
from support import onnx_models
from support.repository import Repository
from support.rest import HTTP, Rest, json_request, triton_client
from support.server import Serve, Server


def test_the_server(rest: Rest) -> None:
    for path in (
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/add/ready",
        "/v2/models/add/versions/1/ready",
    ):
        answer = rest.get(path)
        assert (answer.status, answer.body) == (200, b"")
    assert rest.call("HEAD", "/v2/health/live").status == 200
    found = rest.get("/v2").json
    assert found["name"] == "infermesh"
    assert "model_repository" in found["extensions"]


def test_a_model(rest: Rest) -> None:
    metadata = rest.get("/v2/models/add").json
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"][0] == {"name": "a", "datatype": "FP32", "shape": [-1, 16]}
    assert rest.get("/v2/models/add/versions/1").json == metadata
    config = rest.get("/v2/models/add/config").json
    assert config["name"] == "add"
    assert config["output"][0]["data_type"] == "TYPE_FP32"
    answer = rest.get("/v2/models/absent/ready")
    assert answer.status == 400
    assert answer.error == "Model version not ready: Request for unknown model: 'absent' is not found"
    for path in ("/v2/models/absent", "/v2/models/absent/config"):
        answer = rest.get(path)
        assert answer.status == 404
        assert "'absent' is not found" in answer.error


def test_statistics(rest: Rest) -> None:
    for _ in range(3):
        body = json_request("FP32", [2, 4], [0] * 8)
        assert rest.post("/v2/models/scale/infer", body).status == 200
    (found,) = rest.get("/v2/models/scale/stats").json["model_stats"]
    assert (found["name"], found["version"]) == ("scale", "1")
    assert found["inference_stats"]["success"]["count"] == 3
    assert found["inference_stats"]["queue"]["count"] == 3
    assert len(rest.get("/v2/models/stats").json["model_stats"]) > 10
    answer = rest.get("/v2/models/absent/stats")
    assert answer.status == 400
    assert answer.error == "requested model 'absent' is not available"


def test_tritonclient_asks_everything(zoo: Server) -> None:
    with triton_client(zoo.http_port) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("add")
        assert not client.is_model_ready("absent")
        assert client.get_server_metadata()["name"] == "infermesh"
        assert client.get_model_metadata("add")["outputs"][0]["name"] == "sum"
        assert client.get_model_config("add")["name"] == "add"
        assert client.get_inference_statistics("add")["model_stats"][0]["name"] == "add"
        index = client.get_model_repository_index()
        assert {"name": "add", "version": "1", "state": "READY"} in index


@pytest.fixture
def controlled(serve: Serve, repository: Repository) -> Server:
    """A server whose models are loaded on request."""
    repository.onnx("scale", onnx_models.scale(2.0))
    repository.onnx("broken", b"nonsense")
    server = serve("--model-control-mode", "explicit", *HTTP)
    server.wait_ready()
    return server


def test_models_come_and_go(controlled: Server) -> None:
    body = json_request("FP32", [1, 4], [1, 2, 3, 4])
    with triton_client(controlled.http_port) as client, Rest(controlled.http_port) as rest:
        assert rest.post("/v2/models/scale/infer", body).status == 404
        client.load_model("scale")
        assert rest.post("/v2/models/scale/infer", body).json["outputs"][0]["data"] == [2, 4, 6, 8]
        assert rest.post("/v2/repository/models/absent/load").status == 404
        answer = rest.post("/v2/repository/models/broken/load", {})
        assert answer.status == 500
        assert "failed to load 'broken'" in answer.error
        assert rest.post("/v2/repository/models/scale/load", {"parameters": {"config": "{"}}).status == 400
        index = {model["name"]: model["state"] for model in client.get_model_repository_index()}
        assert index == {"scale": "READY", "broken": "UNAVAILABLE"}
        assert [it["name"] for it in rest.post("/v2/repository/index", {"ready": True}).json] == ["scale"]
        client.unload_model("scale", unload_dependents=True)
        assert rest.post("/v2/models/scale/infer", body).status == 404


def test_control_that_was_not_given(rest: Rest) -> None:
    answer = rest.post("/v2/repository/models/add/unload")
    assert answer.status == 503
    assert "explicit model load / unload is not allowed" in answer.error


def test_not_ready_is_a_status(serve: Serve, repository: Repository) -> None:
    repository.onnx("broken", b"nonsense")
    server = serve(*HTTP)
    server.wait_for("server-not-ready")
    with Rest(server.http_port) as rest:
        assert rest.get("/v2/health/live").status == 200
        answer = rest.get("/v2/health/ready")
        assert (answer.status, answer.error) == (400, "the server is not ready")
        assert rest.get("/v2/models/broken/versions/1/ready").status == 400
