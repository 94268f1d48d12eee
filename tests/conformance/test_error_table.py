"""The error table against infermesh: code and message of every case, unary and within a stream."""

from collections.abc import Iterator
from typing import Any, cast
from unittest.mock import Mock

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, outputs, status
from support.error_table import CASES, GOOD, MODELS, Case
from support.repository import Repository
from support.server import LOOPBACK, Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = Repository.make(tmp_path_factory.mktemp("errors"))
    eight = "max_batch_size: 8\n"
    repository.onnx("add", onnx_models.add(16), config=eight)
    repository.onnx("text", onnx_models.identity("BYTES", ("n", 2)), config=eight)
    repository.onnx("two", onnx_models.identity(), config=eight + "version_policy { all {} }\n")
    repository.onnx("two", b"broken", version=2)
    repository.onnx("broken", b"broken", config=eight)
    assert {each.name for each in repository.root.iterdir()} == set(MODELS)
    with serving(repository.root, *LOOPBACK, until="server-not-ready") as server:
        yield server


class Recorder:
    """Stands in for a client: keeps the inference that a case asks for."""

    def __init__(self) -> None:
        self.made: pb.ModelInferRequest | None = None
        # Whatever else a case asks for is no inference.
        self.inference = Mock()

    def infer(self, request: pb.ModelInferRequest) -> None:
        self.made = request


def inferences() -> Iterator[Any]:
    """The cases that are inferences, with their requests."""
    for case in CASES:
        recorder = Recorder()
        case.call(cast(Client, recorder))
        if recorder.made is not None:
            yield pytest.param(recorder.made, case, id=case.name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_code_and_message(client: Client, case: Case) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        case.call(client)
    code, message = status(caught.value)
    assert (code, case.message in message) == (case.code, True), message


@pytest.mark.parametrize(("request_", "case"), list(inferences()))
def test_within_a_stream_code_and_message_are_the_same(
    client: Client, request_: pb.ModelInferRequest, case: Case
) -> None:
    request_.id = "seven"
    (answer,) = client.stream([request_])
    assert case.message in answer.error_message
    assert answer.infer_response.id == "seven"
    code = answer.infer_response.parameters["grpc_status"]
    assert (code.WhichOneof("parameter_choice"), code.int64_param) == ("int64_param", case.code.value[0])


@pytest.mark.parametrize("call", GOOD.values(), ids=GOOD.keys())
def test_what_is_right_is_accepted(client: Client, call: object) -> None:
    assert callable(call)
    answer = call(client)
    if isinstance(answer, pb.ModelInferResponse):
        assert outputs(answer)


def test_an_unknown_model_is_not_ready_rather_than_an_error(client: Client) -> None:
    answer = client.inference.ModelReady(pb.ModelReadyRequest(name="absent"), timeout=SECONDS)
    assert not answer.ready


@pytest.mark.parametrize("version", ["9", "2"])
def test_a_version_that_is_not_there_is_not_ready(client: Client, version: str) -> None:
    answer = client.inference.ModelReady(pb.ModelReadyRequest(name="two", version=version), timeout=SECONDS)
    assert not answer.ready
