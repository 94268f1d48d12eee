"""TraceSetting and /v2/trace/setting, through tritonclient: what is set holds at once, for whom it is set."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
import tritonclient.http as triton_http
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, refused, request
from support.collector import Collector, collecting
from support.repository import Repository
from support.rest import HTTP, Rest, triton_client
from support.server import Serve, Server
from tritonclient.utils import InferenceServerException


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def server(collector: Collector, serve: Serve, repository: Repository) -> Server:
    """Two models; nothing is traced."""
    repository.onnx("scale", onnx_models.scale(3.0))
    repository.onnx("other", onnx_models.scale(3.0))
    repository.onnx("broken", b"nonsense")
    url = f"opentelemetry,url={collector.http_url}"
    server = serve(
        *HTTP,
        *("--trace-config", url, "--trace-config", "opentelemetry,bsp_schedule_delay=0"),
        "--no-strict-readiness",
    )
    server.wait_ready()
    return server


def ask(server: Server, model: str, requests: int = 1) -> None:
    with Client(server.target) as client:
        for _ in range(requests):
            client.infer(request(model, x=floats(1, 4)))


class Grpc:
    """tritonclient over gRPC, in terms of plain values."""

    def __init__(self, server: Server) -> None:
        self._client = triton.InferenceServerClient(server.target)

    def get(self, model: str | None = None) -> dict[str, Any]:
        return self._plain(self._client.get_trace_settings(model_name=model, client_timeout=SECONDS))

    def set(self, settings: dict[str, Any], model: str | None = None) -> dict[str, Any]:
        return self._plain(
            self._client.update_trace_settings(model_name=model, settings=settings, client_timeout=SECONDS)
        )

    @staticmethod
    def _plain(response: Any) -> dict[str, Any]:
        values = {name: list(setting.value) for name, setting in response.settings.items()}
        return {name: value if name == "trace_level" else value[0] for name, value in values.items()}

    def close(self) -> None:
        self._client.close()


class Http:
    """tritonclient over HTTP."""

    def __init__(self, server: Server) -> None:
        self._client = triton_http.InferenceServerClient(f"127.0.0.1:{server.http_port}")

    def get(self, model: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get_trace_settings(model_name=model)
        return found

    def set(self, settings: dict[str, Any], model: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self._client.update_trace_settings(model_name=model, settings=settings)
        return found

    def close(self) -> None:
        self._client.close()


@pytest.fixture(params=[Grpc, Http])
def settings(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    client = request.param(server)
    yield client
    client.close()


def test_what_is_set_holds_at_once(settings: Any, server: Server, collector: Collector) -> None:
    found = settings.get()
    assert (found["trace_level"], found["trace_rate"], found["trace_count"]) == (["OFF"], "1000", "-1")
    assert (found["trace_mode"], found["url"]) == ("opentelemetry", collector.http_url)
    ask(server, "scale")
    found = settings.set({"trace_level": ["TIMESTAMPS"], "trace_rate": "2", "trace_count": "2"})
    assert (found["trace_level"], found["trace_rate"], found["trace_count"]) == (["TIMESTAMPS"], "2", "2")
    assert settings.get("scale") == found
    ask(server, "scale", 3)
    assert settings.get()["trace_count"] == "1"
    ask(server, "scale", 5)
    assert settings.get()["trace_count"] == "0"
    assert len({span.trace for span in collector.wait_for(6)}) == 2
    settings.set({"trace_level": ["OFF"], "trace_count": "-1"})
    ask(server, "scale", 4)
    settings.set({"trace_level": ["TIMESTAMPS"], "trace_rate": "1"})
    ask(server, "other")
    spans = collector.wait_for(9)
    assert len(spans) == 9
    # Cleared, a setting is again what the process was started with.
    assert settings.set({"trace_level": None, "trace_rate": None})["trace_level"] == ["OFF"]
    assert settings.get()["trace_rate"] == "1000"


def test_a_model_has_settings_of_its_own(settings: Any, server: Server, collector: Collector) -> None:
    found = settings.set({"trace_level": ["TIMESTAMPS"], "trace_rate": "1"}, "scale")
    assert (found["trace_level"], found["trace_rate"]) == (["TIMESTAMPS"], "1")
    assert settings.get()["trace_level"] == ["OFF"]
    ask(server, "other", 3)
    ask(server, "scale")
    spans = collector.wait_for(3)
    assert len(spans) == 3
    assert {span.attributes.get("infermesh.model.name", "scale") for span in spans} == {"scale"}
    settings.set({"trace_rate": "7"})
    assert settings.get("other")["trace_rate"] == "7"
    assert settings.get("scale")["trace_rate"] == "1"
    found = settings.set({"trace_level": None, "trace_rate": None}, "scale")
    assert found == settings.get()


def test_what_cannot_be_set(settings: Any) -> None:
    before = settings.get()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"trace_file": "/tmp/x"}, "trace file location can not be updated through network protocol"),
        ({"trace_rate": "few"}, "Unable to parse 'trace_rate', got: few"),
        (
            {"trace_rate": "-1"},
            "Unable to parse 'trace_rate', value is out of range [ 0, 4294967295 ], got: -1",
        ),
        ({"trace_count": "-2"}, "Unable to parse 'trace_count'. Expecting value >= -1, got: -2"),
        ({"trace_level": ["OFF", "TIMESTAMPS"]}, "Expect only one trace level 'OFF' is specified"),
        ({"trace_level": ["TENSORS"]}, "trace level TENSORS is not supported"),
        ({"trace_level": ["LOUD"]}, "expected OFF or TIMESTAMPS, got: LOUD"),
        ({"log_frequency": "50"}, "log_frequency is a setting of trace mode triton"),
        ({"trace_mode": "triton"}, "trace mode can not be updated"),
        ({"trace_speed": "9"}, "unknown trace setting 'trace_speed'"),
    ]
    for given, message in cases:
        with pytest.raises(InferenceServerException) as caught:
            settings.set({"trace_level": ["TIMESTAMPS"], **given})
        assert message in str(caught.value)
        assert settings.get() == before
    for model in ("absent", "broken"):
        for attempt in (settings.get, partial(settings.set, {"trace_rate": "1"})):
            with pytest.raises(InferenceServerException) as caught:
                attempt(model)
            assert f"Request for unknown model : {model}" in str(caught.value)


def test_codes(server: Server) -> None:
    with Client(server.target) as client:

        def change(name: str, *values: str) -> None:
            message = pb.TraceSettingRequest()
            message.settings[name].value.extend(values)
            client.inference.TraceSetting(message, timeout=SECONDS)

        with refused(grpc.StatusCode.INVALID_ARGUMENT, "expect only 1 value for 'trace_rate'"):
            change("trace_rate", "1", "2")
        with refused(grpc.StatusCode.UNIMPLEMENTED):
            change("trace_file", "x")
    with Rest(server.http_port) as rest:
        for body, status, message in (
            ({"trace_rate": 5}, 400, "attempt to access JSON non-string as string"),
            ({"trace_level": "OFF"}, 400, "attempt to access JSON non-array as array"),
            ({"trace_file": "x"}, 501, "trace file location"),
            ([], 400, "failed to parse the request JSON buffer"),
        ):
            answer = rest.post("/v2/trace/setting", body)
            assert (answer.status, message in answer.error) == (status, True)
        assert rest.call("PUT", "/v2/trace/setting").status == 405
        # A body says nothing in a GET.
        assert rest.call("GET", "/v2/trace/setting", {"trace_level": ["TIMESTAMPS"]}).status == 200
    with triton_client(server.http_port) as http:
        assert http.get_trace_settings()["trace_level"] == ["OFF"]
        assert {"trace", "logging"} <= set(http.get_server_metadata()["extensions"])
