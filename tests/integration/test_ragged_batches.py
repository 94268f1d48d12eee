"""Requests of different shapes share a batch: they lie end to end, and the model is told where each is."""

from typing import Any

import grpc
import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, ints, outputs, refused, request
from support.company import full_at, together
from support.gate import Gate
from support.python_models import SEEN
from support.repository import Repository
from support.rest import HTTP
from support.server import Serve

SUMS = """
input { name: "x" data_type: TYPE_FP32 dims: -1 allow_ragged_batch: true }
output { name: "sum" data_type: TYPE_FP32 dims: 1 }
output { name: "twice" data_type: TYPE_FP32 dims: -1 }
batch_input {
  kind: BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO target_name: "at" data_type: TYPE_INT32 source_input: "x"
}
batch_output { target_name: "twice" kind: BATCH_SCATTER_WITH_INPUT_SHAPE source_input: "x" }
"""

#: Told everything that there is to tell about ``x``.
TOLD = """
max_batch_size: 8
dynamic_batching {}
input { name: "key" data_type: TYPE_INT32 dims: 1 }
input { name: "x" data_type: TYPE_INT32 dims: [ -1, 2 ] allow_ragged_batch: true }
output { name: "y" data_type: TYPE_INT32 dims: 1 }
batch_input { kind: BATCH_ELEMENT_COUNT target_name: "count" data_type: TYPE_FP32 source_input: "x" }
batch_input {
  kind: BATCH_ACCUMULATED_ELEMENT_COUNT target_name: "ends" data_type: TYPE_INT32 source_input: "x"
}
batch_input {
  kind: BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO
  target_name: [ "bounds", "again" ]
  data_type: TYPE_INT32
  source_input: "x"
}
batch_input {
  kind: BATCH_MAX_ELEMENT_COUNT_AS_SHAPE target_name: "most" data_type: TYPE_INT32 source_input: "x"
}
batch_input { kind: BATCH_ITEM_SHAPE target_name: "shapes" data_type: TYPE_INT32 source_input: "x" }
batch_input { kind: BATCH_ITEM_SHAPE_FLATTEN target_name: "flat" data_type: TYPE_INT32 source_input: "x" }
"""


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_an_onnx_model_takes_them_apart(serve: Serve, repository: Repository, kind: str) -> None:
    repository.onnx("sums", onnx_models.sums(), config=full_at(3) + SUMS)
    server = serve(*HTTP)
    server.wait_ready()
    sent: list[dict[str, Any]] = [{"x": floats(1, width, start=width)} for width in (3, 1, 5)]
    answers = together(kind, server, "sums", sent)
    for inputs, answer in zip(sent, answers, strict=True):
        assert answer.as_numpy("sum").tolist() == [[inputs["x"].sum()]]
        np.testing.assert_array_equal(answer.as_numpy("twice"), 2 * inputs["x"])
    with Client(server.target) as client:
        found = client.statistics("sums")
        assert (found.inference_count, found.execution_count) == (3, 1)
        assert [stats.batch_size for stats in found.batch_stats] == [3]


def test_a_request_alone_is_a_batch_of_its_own(serve: Serve, repository: Repository) -> None:
    repository.onnx("sums", onnx_models.sums(), config="max_batch_size: 8\n" + SUMS)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        answer = outputs(client.infer(request("sums", x=floats(1, 4))))
        assert (answer["sum"].tolist(), answer["twice"].tolist()) == ([[6]], [[0, 2, 4, 6]])


def test_clients_do_not_see_what_is_made_for_the_batch(serve: Serve, repository: Repository) -> None:
    repository.onnx("sums", onnx_models.sums(), config="max_batch_size: 8\n" + SUMS)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        metadata = client.inference.ModelMetadata(pb.ModelMetadataRequest(name="sums"), timeout=SECONDS)
        assert [(port.name, list(port.shape)) for port in metadata.inputs] == [("x", [-1, -1])]
        config = client.inference.ModelConfig(pb.ModelConfigRequest(name="sums"), timeout=SECONDS).config
        assert [port.name for port in config.input] == ["x"]
        assert config.input[0].allow_ragged_batch
        assert config.batch_input[0].target_name == ["at"]
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "expected 1 inputs but got 2 inputs"):
            client.infer(request("sums", x=floats(1, 4), at=ints([0], [4])))


def test_a_python_model_is_told_of_every_request(serve: Serve, repository: Repository, gate: Gate) -> None:
    repository.python("told", SEEN, config=TOLD + gate.config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        one = np.array([[[1, 2]]], np.int32)
        two = np.array([[[3, 4], [5, 6]], [[7, 8], [9, 0]]], np.int32)
        calls = [client.start(request("told", key=ints([0]), x=one))]
        gate.next_batch()
        calls += [client.start(request("told", key=ints([1]), x=one))]
        calls += [client.start(request("told", key=ints([2], [3]), x=two))]
        client.fence()
        gate.open()
        assert gate.next_batch().rows == {
            "key": [[1], [2], [3]],
            "x": [1, 2, 3, 4, 5, 6, 7, 8, 9, 0],
            "count": [2, 8],
            "ends": [2, 10],
            "bounds": [0, 2, 10],
            "again": [0, 2, 10],
            "most": [0] * 8,
            "shapes": [[1, 2], [2, 2], [2, 2]],
            "flat": [1, 2, 2, 2, 2, 2],
        }
        assert [outputs(call.result())["y"].tolist() for call in calls] == [[[0]], [[1]], [[2], [3]]]


def test_inputs_that_are_not_ragged_still_divide_batches(
    serve: Serve, repository: Repository, gate: Gate
) -> None:
    config = TOLD.replace('"key" data_type: TYPE_INT32 dims: 1', '"key" data_type: TYPE_INT32 dims: -1')
    config = config.replace('"y" data_type: TYPE_INT32 dims: 1', '"y" data_type: TYPE_INT32 dims: -1')
    repository.python("told", SEEN, config=config + gate.config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        calls = [client.start(request("told", key=ints([0]), x=np.zeros((1, 1, 2), np.int32)))]
        gate.next_batch()
        for width in (1, 2, 1):
            x = np.zeros((1, width, 2), np.int32)
            calls.append(client.start(request("told", key=ints([5] * width), x=x)))
        client.fence()
        gate.open()
        assert [batch.rows["count"] for batch in gate.batches(2)] == [[2, 2], [4]]
        assert all(call.result() for call in calls)


def test_what_does_not_fit_the_declared_dimensions_is_refused(serve: Serve, repository: Repository) -> None:
    repository.onnx("sums", onnx_models.sums(), config="max_batch_size: 8\n" + SUMS)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape for input 'x'", "[-1,-1]"):
            client.infer(request("sums", x=floats(1, 2, 2)))
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "batch-size must be <= 8"):
            client.infer(request("sums", x=floats(9, 2)))


def test_outputs_of_another_size_fail_the_batch(serve: Serve, repository: Repository) -> None:
    # Two elements for each of the source's, where the configuration promises one.
    source = "class Model:\n    def infer(self, batch):\n        return {'y': batch['x'].repeat(2)}\n"
    config = """
max_batch_size: 8
input { name: "x" data_type: TYPE_INT32 dims: -1 allow_ragged_batch: true }
output { name: "y" data_type: TYPE_INT32 dims: -1 }
batch_output { target_name: "y" kind: BATCH_SCATTER_WITH_INPUT_SHAPE source_input: "x" }
"""
    repository.python("wrong", source, config=config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        with refused(grpc.StatusCode.INTERNAL, "output 'y' of the model has shape [6]", "[[1, 3]]"):
            client.infer(request("wrong", x=ints([1, 2, 3])))
        assert client.statistics("wrong").inference_stats.fail.count == 1


def test_a_model_that_answers_by_rows_has_to_have_as_many(serve: Serve, repository: Repository) -> None:
    # Nothing that it gets shows how many rows there are.
    source = "class Model:\n    def infer(self, batch):\n        return {'y': batch['x'].reshape(-1, 1)}\n"
    config = """
max_batch_size: 8
input { name: "x" data_type: TYPE_INT32 dims: -1 allow_ragged_batch: true }
output { name: "y" data_type: TYPE_INT32 dims: 1 }
"""
    repository.python("rows", source, config=config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert outputs(client.infer(request("rows", x=ints([7], [8]))))["y"].tolist() == [[7], [8]]
        with refused(grpc.StatusCode.INTERNAL, "output 0 of the model has shape [3, 1] for a batch of 1"):
            client.infer(request("rows", x=ints([1, 2, 3])))


def test_a_warm_up_runs_as_requests_do(serve: Serve, repository: Repository, gate: Gate) -> None:
    warm = """
model_warmup {
  name: "w"
  batch_size: 2
  inputs { key: "key" value { data_type: TYPE_INT32 dims: 1 zero_data: true } }
  inputs { key: "x" value { data_type: TYPE_INT32 dims: [ 3, 2 ] zero_data: true } }
}
"""
    repository.python("told", SEEN, config=TOLD + warm + gate.config)
    gate.open()
    serve().wait_ready()
    rows = gate.next_batch().rows
    assert (rows["key"], rows["x"], rows["bounds"]) == ([[0], [0]], [0] * 12, [0, 12])
    assert rows["shapes"] == [[3, 2], [3, 2]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "dims: -1 allow_ragged_batch: true",
            "dims: -1",
            'batch_input.source_input: found "x", expected an input that has allow_ragged_batch',
        ),
        ("TYPE_INT32 source", "TYPE_UINT8 source", "batch_input.data_type: found TYPE_UINT8"),
        ('target_name: "at"', 'target_name: "from"', "the model has no input 'from'; it has at, x"),
    ],
)
def test_what_cannot_be_is_refused(
    serve: Serve, repository: Repository, old: str, new: str, message: str
) -> None:
    config = "max_batch_size: 8\n" + SUMS
    assert old in config
    repository.onnx("sums", onnx_models.sums(), config=config.replace(old, new))
    assert message in serve().wait_for("model-load-failed")["error.message"]


def test_a_model_that_wants_a_rectangle_is_shown_the_way(serve: Serve, repository: Repository) -> None:
    config = 'max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: -1 allow_ragged_batch: true }'
    repository.onnx("wide", onnx_models.identity("FP32", ("n", "m")), config=config)
    message = serve().wait_for("model-load-failed")["error.message"]
    assert "laid end to end in shape [-1], but the model has [-1, -1]" in message
    assert "ragged_padding" in message
