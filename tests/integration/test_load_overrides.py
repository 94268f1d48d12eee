"""Clients load a model with a configuration and files of their own."""

import base64
import json
import tempfile
from pathlib import Path

import grpc
import pytest
import tritonclient.grpc as triton
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, outputs, refused, request
from support.repository import Repository
from support.rest import HTTP, Rest, triton_client
from support.server import Serve, Server
from tritonclient.utils import InferenceServerException

CONFIG = json.dumps({"max_batch_size": 2})
FILE = "file:1/model.onnx"
SEVEN = onnx_models.scale(7.0)


@pytest.fixture
def server(serve: Serve, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Explicit mode; ``scale`` doubles, up to 64 rows at once. Temporary files go to the test's folder."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    repository.onnx("scale", onnx_models.scale(2.0))
    server = serve("--model-control-mode", "explicit", "--load-model", "scale", *HTTP)
    server.wait_ready()
    return server


def leftovers(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "temporary").glob("infermesh-model-*"))


def factor(client: Client, model: str = "scale", rows: int = 1) -> float:
    return float(outputs(client.infer(request(model, x=floats(rows, 4, start=1))))["y"][0, 0])


def load(client: Client, name: str, **parameters: object) -> None:
    """Load with parameters of any type, named as tritonclient would not."""
    message = pb.RepositoryModelLoadRequest(model_name=name)
    for key, value in parameters.items():
        kind = {str: "string_param", bytes: "bytes_param", bool: "bool_param", int: "int64_param"}[
            type(value)
        ]
        setattr(message.parameters[key], kind, value)
    client.inference.RepositoryModelLoad(message, timeout=SECONDS)


def test_a_configuration_alone_keeps_the_files(server: Server, client: Client) -> None:
    assert factor(client, rows=3) == 2.0
    with triton.InferenceServerClient(server.target) as control:
        control.load_model("scale", config=CONFIG, client_timeout=SECONDS)
        assert control.get_model_config("scale", as_json=True)["config"]["max_batch_size"] == 2
    assert factor(client, rows=2) == 2.0
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "batch-size must be <= 2"):
        factor(client, rows=3)


def test_a_load_without_overrides_takes_them_back(client: Client, tmp_path: Path) -> None:
    load(client, "scale", config=CONFIG, **{FILE: SEVEN})
    assert factor(client) == 7.0
    assert len(leftovers(tmp_path)) == 1
    load(client, "scale")
    assert factor(client, rows=3) == 2.0
    assert leftovers(tmp_path) == []


def test_tritonclient_gives_files_over_grpc(server: Server, client: Client, tmp_path: Path) -> None:
    with triton.InferenceServerClient(server.target) as control:
        control.load_model("scale", config="{}", files={"file:5/model.onnx": SEVEN}, client_timeout=SECONDS)
    assert client.index() == {("scale", "5"): ("READY", "")}
    assert factor(client) == 7.0
    with triton.InferenceServerClient(server.target) as control:
        control.unload_model("scale", client_timeout=SECONDS)
    assert leftovers(tmp_path) == []


def test_tritonclient_gives_files_over_http(server: Server, client: Client, tmp_path: Path) -> None:
    with triton_client(server.http_port) as control:
        control.load_model("new", config=CONFIG, files={FILE: SEVEN})
        assert control.is_model_ready("new")
        assert control.get_model_config("new")["max_batch_size"] == 2
        assert factor(client, "new") == 7.0
        control.unload_model("new")
    assert leftovers(tmp_path) == []
    assert factor(client) == 2.0


def test_files_beside_the_model_are_there_as_long_as_it_is(client: Client, tmp_path: Path) -> None:
    source = """
class Model:
    inputs = {"x": ("FP32", [4])}
    outputs = {"y": ("FP32", [4])}
    max_batch_size = 4

    def __init__(self, context):
        self.file = context.directory / "factor.txt"

    def infer(self, batch):
        return {"y": batch["x"] * type(batch["x"].flat[0])(self.file.read_text())}
"""
    load(client, "py", config="{}", **{"file:1/model.py": source.encode(), "file:1/factor.txt": b"9"})
    assert factor(client, "py") == 9.0
    assert len(leftovers(tmp_path)) == 1


def test_a_stopped_server_leaves_nothing_behind(server: Server, client: Client, tmp_path: Path) -> None:
    load(client, "scale", config="{}", **{FILE: SEVEN})
    assert len(leftovers(tmp_path)) == 1
    assert server.stop() == 0
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "message", "parameters"),
    [
        ("INVALID_ARGUMENT", "unrecognized load parameter 'colour'", {"colour": "blue"}),
        ("INVALID_ARGUMENT", "expected string_param", {"config": b"{}"}),
        ("INVALID_ARGUMENT", "expected bytes_param", {"config": "{}", FILE: "text"}),
        ("INVALID_ARGUMENT", "Invalid config override", {"config": "{"}),
        ("INVALID_ARGUMENT", 'no field named "max_batch"', {"config": '{"max_batch": 4}'}),
        ("INVALID_ARGUMENT", "override files are given without 'config'", {FILE: SEVEN}),
        ("INVALID_ARGUMENT", "names no file of a model", {"config": "{}", "file:../../model.onnx": SEVEN}),
        ("INTERNAL", "failed to load 'scale'", {"config": "{}", FILE: b"no model"}),
        ("INTERNAL", "found no file in its version directories", {"config": "{}", "file:model.onnx": SEVEN}),
        ("INTERNAL", "failed to load 'scale'", {"config": "{}", "file:5/model.onnx": b""}),
    ],
)
def test_a_load_that_fails_changes_nothing(
    client: Client, tmp_path: Path, code: str, message: str, parameters: dict[str, object]
) -> None:
    with refused(grpc.StatusCode[code], message):
        load(client, "scale", **parameters)
    assert factor(client, rows=3) == 2.0
    assert client.index()["scale", "1"] == ("READY", "")
    assert leftovers(tmp_path) == []
    assert client.inference.ServerReady(pb.ServerReadyRequest(), timeout=SECONDS).ready
    assert not (tmp_path / "model.onnx").exists()
    assert not Path(tempfile.gettempdir(), "model.onnx").exists()


@pytest.mark.parametrize("name", ["..", "", "a/b", "../scale", ".hidden"])
def test_files_do_not_make_a_name(client: Client, name: str) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, f"failed to load '{name}'"):
        load(client, name, config="{}", **{FILE: SEVEN})


def test_http_wants_base64(server: Server) -> None:
    with Rest(server.http_port) as rest:
        path = "/v2/repository/models/scale/load"
        for content in ("no base64!", base64.b64encode(SEVEN).decode()[:-1]):
            answer = rest.post(path, {"parameters": {"config": "{}", FILE: content}})
            assert answer.status == 400
            assert f"failed to decode the base64 of load parameter '{FILE}'" in answer.error
        assert rest.post(path, {"parameters": {"config": {}}}).status == 400
        assert rest.post(path, {"parameters": {FILE: 3, "config": "{}"}}).status == 400


def test_other_modes_refuse_overrides(serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(2.0))
    server = serve("--model-control-mode", "poll")
    server.wait_ready()
    with (
        triton.InferenceServerClient(server.target) as control,
        pytest.raises(InferenceServerException, match="explicit model load / unload is not allowed"),
    ):
        control.load_model("scale", config=CONFIG, files={FILE: SEVEN}, client_timeout=SECONDS)
