"""LogSettings and /v2/logging through tritonclient, and what they do to the log."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
import tritonclient.http as triton_http
from infermesh.proto.grpc_health_v1 import health_pb2
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, ints, refused, request
from support.python_models import MOODY
from support.repository import Repository
from support.rest import HTTP, Rest, json_request, triton_client
from support.server import Serve, Server
from tritonclient.utils import InferenceServerException

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CONTEXT = f"00-{TRACE}-00f067aa0ba902b7-00"

START = {
    "log_file": "",
    "log_info": True,
    "log_warning": True,
    "log_error": True,
    "log_verbose_level": 0,
    "log_format": "default",
}


@pytest.fixture
def server(serve: Serve, repository: Repository) -> Server:
    repository.onnx("scale", onnx_models.scale(3.0))
    repository.python("moody", MOODY)
    server = serve(*HTTP, "--model-control-mode", "explicit", "--load-model", "*")
    server.wait_ready()
    return server


class Grpc:
    """tritonclient over gRPC, in terms of plain values."""

    def __init__(self, server: Server) -> None:
        self._client = triton.InferenceServerClient(server.target)

    def get(self) -> dict[str, Any]:
        return self._plain(self._client.get_log_settings(client_timeout=SECONDS))

    def set(self, settings: dict[str, Any]) -> dict[str, Any]:
        return self._plain(self._client.update_log_settings(settings, client_timeout=SECONDS))

    @staticmethod
    def _plain(response: Any) -> dict[str, Any]:
        return {
            name: getattr(setting, setting.WhichOneof("parameter_choice"))
            for name, setting in response.settings.items()
        }

    def close(self) -> None:
        self._client.close()


class Http:
    """tritonclient over HTTP."""

    def __init__(self, server: Server) -> None:
        self._client = triton_http.InferenceServerClient(f"127.0.0.1:{server.http_port}")

    def get(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get_log_settings()
        return found

    def set(self, settings: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._client.update_log_settings(settings)
        return found

    def close(self) -> None:
        self._client.close()


@pytest.fixture(params=[Grpc, Http])
def settings(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    client = request.param(server)
    yield client
    client.close()


def fail(server: Server) -> None:
    with Client(server.target) as client, refused(grpc.StatusCode.INTERNAL):
        client.infer(request("moody", x=ints([1])))


def accesses(server: Server) -> list[dict[str, Any]]:
    return [record for record in server.records if record.get("event.action") == "inference"]


def test_an_access_record_for_each_inference(settings: Any, server: Server) -> None:
    assert settings.get() == START
    message = request("scale", id_="seven", x=floats(1, 4))
    with Client(server.target) as client:
        client.infer(message)
        assert settings.set({"log_verbose_level": 1}) == {**START, "log_verbose_level": 1}
        client.inference.ModelInfer(message, timeout=SECONDS, metadata=(("traceparent", CONTEXT),))
        record = server.wait_for("inference")
        with refused(grpc.StatusCode.NOT_FOUND):
            client.infer(request("absent", x=floats(1, 4)))
        refusal = server.wait_for("inference", lambda it: it["infermesh.model.name"] == "absent")
        with Rest(server.http_port) as rest:
            rest.post("/v2/models/scale/infer", json_request("FP32", [1, 4], [0] * 4))
        over_http = server.wait_for("inference", with_field="http.response.status_code")
        settings.set({"log_verbose_level": 0})
        client.infer(message)
        fail(server)
        server.wait_for("inference-failed")
    assert len(accesses(server)) == 3
    assert record["url.path"] == "/inference.GRPCInferenceService/ModelInfer"
    assert (record["rpc.grpc.status_code"], record["event.outcome"]) == (0, "success")
    assert (record["infermesh.model.name"], record["infermesh.model.version"]) == ("scale", "1")
    assert record["infermesh.request.id"] == "seven"
    assert 0 < record["event.duration"] < SECONDS * 1e9
    # Not recorded here, but the caller's trace all the same.
    assert (record["trace.id"], "span.id" in record) == (TRACE, False)
    assert (refusal["event.outcome"], refusal["error.type"]) == ("failure", "NOT_FOUND")
    assert over_http["url.path"] == "/v2/models/scale/infer"


def test_levels_are_turned_off_and_on(settings: Any, server: Server) -> None:
    def records(action: str) -> int:
        return len([record for record in server.records if record.get("event.action") == action])

    with triton_client(server.http_port) as client:
        settings.set({"log_error": False, "log_info": False})
        fail(server)
        client.load_model("scale")
        settings.set({"log_error": True})
        fail(server)
        server.wait_for("inference-failed")
        settings.set({"log_info": True})
        before = records("model-loaded")
        client.load_model("scale")
        server.wait_for("model-loaded", lambda _: records("model-loaded") > before)
    assert (records("inference-failed"), records("model-loaded")) == (1, before + 1)


def test_what_cannot_be_set(settings: Any) -> None:
    for given, message in (
        ({"log_file": "/tmp/x"}, "log file location can not be updated through network protocol"),
        ({"log_format": "xml"}, "invalid argument for log_format, got: xml"),
        ({"log_colour": True}, "unknown log setting 'log_colour'"),
    ):
        with pytest.raises(InferenceServerException) as caught:
            settings.set({"log_warning": False, **given})
        assert message in str(caught.value)
        assert settings.get() == START


def test_codes(server: Server) -> None:
    with Client(server.target) as client:
        message = pb.LogSettingsRequest()
        message.settings["log_info"].uint32_param = 1
        with refused(grpc.StatusCode.INVALID_ARGUMENT):
            client.inference.LogSettings(message, timeout=SECONDS)
        unset = pb.LogSettingsRequest()
        unset.settings["log_info"].SetInParent()
        with refused(grpc.StatusCode.INVALID_ARGUMENT):
            client.inference.LogSettings(unset, timeout=SECONDS)
        file = pb.LogSettingsRequest()
        file.settings["log_file"].string_param = "x"
        with refused(grpc.StatusCode.UNIMPLEMENTED):
            client.inference.LogSettings(file, timeout=SECONDS)
    with Rest(server.http_port) as rest:
        numbers: list[object] = [-1, 1.5, 1 << 32, True, "1", [], {}]
        for given in numbers:
            answer = rest.post("/v2/logging", {"log_verbose_level": given})
            assert (answer.status, answer.error) == (400, "expect int32 for 'log_verbose_level'")
        assert rest.post("/v2/logging", {"log_info": 1}).error == "expect boolean for 'log_info'"
        assert rest.post("/v2/logging", {"log_format": True}).error == "expect string for 'log_format'"
        assert rest.post("/v2/logging", {"log_info": None}).json == START
        assert rest.post("/v2/logging").json == START
        assert rest.post("/v2/logging", {"log_file": "x"}).status == 501


def test_the_log_in_a_file_and_in_other_forms(serve: Serve, repository: Repository, tmp_path: Path) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    log, socket = tmp_path / "serve.log", tmp_path / "grpc.sock"
    server = serve("--grpc-socket", socket, "--log-file", log, "--log-verbose", "1")
    with Client(f"unix:{socket}", ("grpc.default_authority", "localhost")) as client:
        for health in client.health.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS):
            if health.status == health_pb2.HealthCheckResponse.SERVING:
                break
        message = pb.LogSettingsRequest()
        message.settings["log_format"].string_param = "ISO8601"
        found = client.inference.LogSettings(message, timeout=SECONDS).settings
        assert found["log_format"].string_param == "ISO8601"
        assert found["log_file"].string_param == str(log)
        client.infer(request("scale", x=floats(1, 4)))
    assert server.stop() == 0
    lines = log.read_text().splitlines()
    assert lines[0].startswith("{")
    (access,) = [line for line in lines if "ModelInfer scale" in line]
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z inference", access)
    assert server.records == []
