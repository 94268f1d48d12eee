"""Clients see one shape of a tensor, the model another."""

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, outputs, refused, request
from support.repository import Repository
from support.server import Serve

#: The model's [2, 2] is [4] on the way in, and [1, 4] on the way out.
CONFIG = """
max_batch_size: 8
dynamic_batching {}
input { name: "x" data_type: TYPE_FP32 dims: 4 reshape { shape: [ 2, 2 ] } }
output { name: "y" data_type: TYPE_FP32 dims: [ 1, 4 ] reshape { shape: [ 2, 2 ] } }
"""

PYTHON = """
class Model:
    def infer(self, batch):
        assert batch["x"].shape[1:] == (2, 2), batch["x"].shape
        return {"y": batch["x"] * type(batch["x"].flat[0])(2)}
"""


@pytest.mark.parametrize("backend", ["onnx", "python"])
def test_both_ways(serve: Serve, repository: Repository, backend: str) -> None:
    if backend == "onnx":
        repository.onnx("m", onnx_models.scale(2.0, ("n", 2, 2)), config=CONFIG)
    else:
        repository.python("m", PYTHON, config=CONFIG)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        metadata = client.inference.ModelMetadata(pb.ModelMetadataRequest(name="m"), timeout=SECONDS)
        assert list(metadata.inputs[0].shape) == [-1, 4]
        assert list(metadata.outputs[0].shape) == [-1, 1, 4]
        answer = outputs(client.infer(request("m", x=floats(3, 4))))["y"]
        assert answer.shape == (3, 1, 4)
        assert answer.reshape(-1).tolist() == [2.0 * number for number in range(12)]
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape for input 'x'", "Expected [-1,4]"):
            client.infer(request("m", x=floats(3, 2, 2)))


def test_a_scalar_for_each_row(serve: Serve, repository: Repository) -> None:
    config = 'max_batch_size: 4 input { name: "x" data_type: TYPE_FP32 dims: 1 reshape { shape: [] } }'
    repository.onnx("m", onnx_models.scale(2.0, ("n",)), config=config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert outputs(client.infer(request("m", x=floats(2, 1, start=1))))["y"].tolist() == [2.0, 4.0]


def test_shapes_that_hold_different_numbers_are_a_mistake(serve: Serve, repository: Repository) -> None:
    repository.onnx("m", onnx_models.scale(2.0, ("n", 2, 2)), config=CONFIG.replace("dims: 4 ", "dims: 5 "))
    record = serve().wait_for("model-load-failed")
    assert "input 'x' is configured with reshape from [5] to [2, 2]" in record["error.message"]
