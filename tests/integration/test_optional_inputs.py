"""Inputs that a request may leave out."""

import json
import re
from typing import Any

import grpc
import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, ints, outputs, refused, request
from support.company import infer
from support.gate import Gate
from support.python_models import SEEN
from support.repository import Repository
from support.rest import HTTP, Rest
from support.server import Serve
from support.triton_clients import triton

X = 'input { name: "x" data_type: TYPE_FP32 dims: 4 }\n'
BIAS = 'input { name: "bias" data_type: TYPE_FP32 dims: 4 optional: true }\n'
BIASED = "max_batch_size: 8\ndynamic_batching {}\n" + X + BIAS

SEEN_PORTS = """
max_batch_size: 8
dynamic_batching {}
input { name: "x" data_type: TYPE_INT32 dims: -1 }
input { name: "a" data_type: TYPE_INT32 dims: -1 optional: true }
input { name: "b" data_type: TYPE_INT32 dims: -1 optional: true }
output { name: "y" data_type: TYPE_INT32 dims: -1 }
"""


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_an_onnx_model_has_a_value_of_its_own(serve: Serve, repository: Repository, kind: str) -> None:
    repository.onnx("m", onnx_models.biased(), config=BIASED)
    server = serve(*HTTP)
    server.wait_ready()
    with triton(kind, server) as client:
        x = floats(2, 4)
        np.testing.assert_array_equal(infer(client, "m", {"x": x}).as_numpy("y"), x + 100)
        both: dict[str, Any] = {"x": x, "bias": 10 * x}
        np.testing.assert_array_equal(infer(client, "m", both).as_numpy("y"), 11 * x)


def test_a_model_that_does_not_batch(serve: Serve, repository: Repository) -> None:
    repository.onnx("m", onnx_models.biased(dims=(4,)), config="max_batch_size: 0\n" + X + BIAS)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert outputs(client.infer(request("m", x=floats(4))))["y"].tolist() == [100, 101, 102, 103]
        answer = client.infer(request("m", x=floats(4), bias=floats(4)))
        assert outputs(answer)["y"].tolist() == [0, 2, 4, 6]


def test_an_input_with_a_value_may_also_be_required(serve: Serve, repository: Repository) -> None:
    repository.onnx("m", onnx_models.biased(), config=BIASED.replace(" optional: true", ""))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "expected 2 inputs but got 1 inputs for model 'm'"):
            client.infer(request("m", x=floats(1, 4)))
        assert client.infer(request("m", x=floats(1, 4), bias=floats(1, 4)))


def test_an_onnx_model_that_needs_it_is_refused(serve: Serve, repository: Repository) -> None:
    config = BIASED.replace('"x"', '"a"').replace('"bias"', '"b"').replace("dims: 4", "dims: 16")
    repository.onnx("m", onnx_models.add(), config=config)
    record = serve().wait_for("model-load-failed")
    assert "input 'b' is optional, but the model needs it" in record["error.message"]


def test_a_python_model_sees_what_was_sent(serve: Serve, repository: Repository, gate: Gate) -> None:
    repository.python("seen", SEEN, config=SEEN_PORTS + gate.config)
    server = serve()
    server.wait_ready()
    gate.open()
    with Client(server.target) as client:
        client.infer(request("seen", x=ints([1]), b=ints([2])))
        assert gate.next_batch().rows == {"x": [[1]], "b": [[2]]}
        client.infer(request("seen", b=ints([2]), a=ints([3]), x=ints([1])))
        assert gate.next_batch().rows == {"x": [[1]], "a": [[3]], "b": [[2]]}


def test_requests_with_different_inputs_never_share_a_batch(
    serve: Serve, repository: Repository, gate: Gate
) -> None:
    repository.python("seen", SEEN, config=SEEN_PORTS + gate.config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        calls = [client.start(request("seen", x=ints([0])))]
        gate.next_batch()
        for value in (1, 2, 3):
            calls.append(client.start(request("seen", x=ints([value]), a=ints([value]))))
            calls.append(client.start(request("seen", x=ints([value]), b=ints([value]))))
            calls.append(client.start(request("seen", x=ints([value]))))
        client.fence()
        gate.open()
        found = [batch.rows for batch in gate.batches(3)]
        column = [[1], [2], [3]]
        assert found == [{"x": column, "a": column}, {"x": column, "b": column}, {"x": column}]
        assert [outputs(call.result())["y"].tolist() for call in calls[1:4]] == [[[1]]] * 3
        statistics = client.statistics("seen")
        assert (statistics.inference_count, statistics.execution_count) == (10, 4)


def test_what_is_missing_is_named(serve: Serve, repository: Repository, gate: Gate) -> None:
    repository.python("seen", SEEN, config=SEEN_PORTS + gate.config)
    server = serve(*HTTP)
    server.wait_ready()
    between = "expected number of inputs between 1 and 3 but got {} inputs for model 'seen'. "
    nothing = between.format(0) + "Got input(s) [], but missing required input(s) ['x']. "
    other = between.format(1) + "Got input(s) ['a'], but missing required input(s) ['x']. "
    many = between.format(4) + "Got input(s) ['x','a','b','c'], of which the model has no ['c']."
    with Client(server.target) as client:
        one: Any = ints([1])
        for message, inputs in (
            (nothing + "Please provide all required input(s).", {}),
            (other + "Please provide all required input(s).", {"a": one}),
            (many, {"x": one, "a": one, "b": one, "c": one}),
            ("unexpected inference input 'c' for model 'seen'", {"x": one, "c": one}),
            ("input 'b' batch size does not match other inputs", {"x": one, "b": ints([1], [2])}),
        ):
            with refused(grpc.StatusCode.INVALID_ARGUMENT, message):
                client.infer(request("seen", **inputs))
    with Rest(server.http_port) as rest:
        tensor = {"name": "a", "shape": [1, 1], "datatype": "INT32", "data": [1]}
        answer = rest.post("/v2/models/seen/infer", json.dumps({"inputs": [tensor]}).encode())
        assert answer.status == 400
        assert json.loads(answer.body)["error"].startswith(other)


def test_rows_are_known_from_at_least_one_input(serve: Serve, repository: Repository, gate: Gate) -> None:
    config = SEEN_PORTS.replace("dims: -1 }\ninput", "dims: -1 optional: true }\ninput", 1) + gate.config
    repository.python("seen", SEEN, config=config)
    server = serve()
    server.wait_ready()
    gate.open()
    with Client(server.target) as client:
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "expected at least one input for model 'seen'"):
            client.infer(pb.ModelInferRequest(model_name="seen"))
        assert outputs(client.infer(request("seen", b=ints([7], [8]))))["y"].tolist() == [[7], [8]]


def test_the_configuration_tells_clients(serve: Serve, repository: Repository) -> None:
    repository.onnx("m", onnx_models.biased(), config=BIASED)
    server = serve(*HTTP)
    server.wait_ready()
    with Client(server.target) as client, Rest(server.http_port) as rest:
        found = client.inference.ModelConfig(pb.ModelConfigRequest(name="m"), timeout=SECONDS).config
        assert {port.name: port.optional for port in found.input} == {"x": False, "bias": True}
        told = json.loads(rest.get("/v2/models/m/config").body)
        assert [port["optional"] for port in told["input"]] == [False, True]
        metadata = client.inference.ModelMetadata(pb.ModelMetadataRequest(name="m"), timeout=SECONDS)
        assert {port.name for port in metadata.inputs} == {"x", "bias"}


def test_the_cache_tells_them_apart(serve: Serve, repository: Repository) -> None:
    repository.onnx("m", onnx_models.biased(0), config=BIASED + "response_cache { enable: true }\n")
    server = serve("--cache-config", "local,size=1048576")
    server.wait_ready()
    with Client(server.target) as client:
        with_zeros = request("m", x=floats(1, 4), bias=np.zeros((1, 4), np.float32))
        for message in (request("m", x=floats(1, 4)), with_zeros) * 2:
            assert outputs(client.infer(message))["y"].tolist() == [[0, 1, 2, 3]]
        found = client.statistics("m").inference_stats
        assert (found.cache_hit.count, found.cache_miss.count) == (2, 2)


def test_classes_and_shared_names_still_work(serve: Serve, repository: Repository) -> None:
    repository.onnx("m", onnx_models.biased(), config=BIASED)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        message = request("m", x=floats(2, 4))
        message.outputs.add(name="y").parameters["classification"].int64_param = 1
        found = outputs(client.infer(message))["y"].tolist()
        assert found == [[b"103.000000:3"], [b"107.000000:3"]]


@pytest.mark.parametrize("sent", [False, True])
def test_a_warm_up_may_leave_it_out(serve: Serve, repository: Repository, gate: Gate, sent: bool) -> None:
    zeros = "value { data_type: TYPE_INT32 dims: 2 zero_data: true }"
    warm = f'inputs {{ key: "x" {zeros} }}' + (f' inputs {{ key: "a" {zeros} }}' if sent else "")
    config = SEEN_PORTS + gate.config + f'model_warmup {{ name: "w" {warm} }}\n'
    repository.python("seen", SEEN, config=config)
    gate.open()
    serve().wait_ready()
    assert gate.next_batch().rows == ({"x": [[0, 0]], "a": [[0, 0]]} if sent else {"x": [[0, 0]]})


def test_a_row_of_no_sequence_lacks_it_too(serve: Serve, repository: Repository, gate: Gate) -> None:
    sequences = """
sequence_batching {
  max_sequence_idle_microseconds: 60000000
  control_input { name: "READY" control { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] } }
}
"""
    config = re.sub(r"dynamic_batching.*\n", "", SEEN_PORTS) + sequences + gate.config
    repository.python("seen", SEEN, config=config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:

        def step(sequence: int, **options: bool) -> Any:
            message = request("seen", x=ints([sequence]), b=ints([-sequence]))
            message.parameters["sequence_id"].int64_param = sequence
            for name, value in options.items():
                message.parameters[name].bool_param = value
            return client.start(message)

        calls = [step(1, sequence_start=True)]
        gate.next_batch()
        calls.append(step(2, sequence_start=True))
        client.fence()
        gate.open()
        # The second sequence stays in its slot, behind that of the first, which has nothing to run.
        assert gate.next_batch().rows == {"x": [[0], [2]], "b": [[0], [-2]], "READY": [[0], [1]]}
        assert [outputs(call.result())["y"].tolist() for call in calls] == [[[1]], [[2]]]
