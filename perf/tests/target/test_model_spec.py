import json
from email.message import Message

import pytest
from google.protobuf import text_format
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh_perf.errors import SetupError
from infermesh_perf.target.api import Api
from infermesh_perf.target.connect import connect
from infermesh_perf.target.model import TensorSpec, describe, spec
from infermesh_perf.target.target import target
from support.fixed_http import answering


def metadata(*shape: int, datatype: str = "FP32") -> pb.ModelMetadataResponse:
    tensor = pb.ModelMetadataResponse.TensorMetadata(name="x", datatype=datatype, shape=shape)
    return pb.ModelMetadataResponse(name="m", versions=["1", "2"], inputs=[tensor], outputs=[tensor])


def config(text: str) -> ModelConfig:
    return text_format.Parse(text, ModelConfig())


def test_shapes_are_those_of_a_row() -> None:
    batching = spec(metadata(-1, 3, -1), config('name: "m" max_batch_size: 8'))
    plain = spec(metadata(-1, 3), config('name: "m"'))

    assert batching.inputs == (TensorSpec("x", "FP32", (3, -1)),)
    assert batching.max_batch_size == 8
    assert batching.versions == ("1", "2")
    assert plain.inputs == (TensorSpec("x", "FP32", (-1, 3)),)
    assert plain.max_batch_size == 0


def test_the_configuration_says_what_metadata_does_not() -> None:
    text = """
    name: "m" max_batch_size: 8 model_transaction_policy { decoupled: true } sequence_batching {}
    input { name: "x" optional: true is_shape_tensor: true }
    """
    found = spec(metadata(-1, 3), config(text))

    assert found.decoupled
    assert found.sequence
    assert found.inputs == (TensorSpec("x", "FP32", (3,), optional=True, batched=False),)
    assert not found.outputs[0].optional


def test_an_unknown_datatype_is_named() -> None:
    with pytest.raises(SetupError, match="'FP8'"):
        spec(metadata(3, datatype="FP8"), config(""))


def test_describes_what_a_server_has(api: Api) -> None:
    add = describe(api, "add")
    assert [tensor.name for tensor in add.inputs] == ["a", "b"]
    assert (add.inputs[0].shape, add.outputs[0].shape, add.max_batch_size) == ((16,), (16,), 8)
    assert (add.sequence, add.decoupled, add.platform) == (False, False, "onnxruntime_onnx")
    assert describe(api, "wide").inputs[0].shape == (-1,)
    assert describe(api, "fixed").max_batch_size == 0
    assert describe(api, "tally").sequence
    assert describe(api, "tallies").sequence
    assert describe(api, "each").decoupled
    assert [tensor.optional for tensor in describe(api, "biased").inputs] == [False, True]


def test_an_unknown_model_is_told_with_those_that_there_are(api: Api) -> None:
    with pytest.raises(SetupError, match="has no model 'ad': it has add, biased"):
        describe(api, "ad")
    with pytest.raises(SetupError, match="'add' version 7 is not found"):
        describe(api, "add", "7")


def test_a_server_without_configurations() -> None:
    shape = [-1, 3]
    told = {"name": "m", "platform": "p", "inputs": [{"name": "x", "datatype": "FP32", "shape": shape}]}

    def answer(path: str, _: Message) -> tuple[int, bytes]:
        return (200, json.dumps(told).encode()) if path == "/v2/models/m" else (404, b"Not Found")

    with answering(answer) as port, connect(target(f"http://127.0.0.1:{port}")) as api:
        plain, batching = describe(api, "m"), describe(api, "m", batch=4)
        shape[0] = 2
        fixed = describe(api, "m", batch=4)
    assert (plain.max_batch_size, plain.inputs[0].shape, plain.platform) == (0, (-1, 3), "p")
    assert (batching.max_batch_size, batching.inputs[0].shape) == (4, (3,))
    assert (fixed.max_batch_size, fixed.inputs[0].shape) == (0, (2, 3))
