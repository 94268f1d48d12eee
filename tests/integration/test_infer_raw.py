"""Tensors sent raw come back as they were, whatever their type."""

from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from infermesh.proto.inference import grpc_service_pb2 as pb
from numpy.typing import NDArray
from support.client import Client, floats, outputs, refused, request
from support.onnx_models import DATATYPES
from support.server import Server


def values(datatype: str, rows: int) -> NDArray[Any]:
    """Rows of four elements, the extremes of the type among them."""
    if datatype == "BYTES":
        texts = [b"", b"plain", bytes(range(1, 256)), b"x" * 1000]
        return np.array([texts for _ in range(rows)], dtype=object)
    dtype = np.dtype(DATATYPES[datatype][1])
    if datatype == "BOOL":
        row: list[Any] = [True, False, False, True]
    elif dtype.kind in "iu":
        row = [np.iinfo(dtype).min, np.iinfo(dtype).max, 0, 7]
    else:
        row = [-0.0, float("inf"), 1.5, -2.25]
    return np.array([row for _ in range(rows)], dtype)


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("rows", [1, 3])
def test_every_datatype_survives(client: Client, datatype: str, rows: int) -> None:
    sent = values(datatype, rows)
    response = client.infer(request(f"identity_{datatype.lower()}", x=sent))
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", datatype, [rows, 4])
    received = outputs(response)["y"]
    assert received.tolist() == sent.tolist()


@pytest.mark.parametrize("datatype", DATATYPES)
def test_tritonclient_reads_every_datatype(zoo: Server, datatype: str) -> None:
    sent = values(datatype, 2)
    tensor = triton.InferInput("x", list(sent.shape), datatype)
    tensor.set_data_from_numpy(sent)
    with triton.InferenceServerClient(zoo.target) as client:
        result = client.infer(f"identity_{datatype.lower()}", [tensor], client_timeout=20)
    received = result.as_numpy("y")
    assert received is not None
    assert received.tolist() == sent.tolist()


def test_several_inputs_may_come_in_any_order(client: Client) -> None:
    a, b = floats(2, 16), floats(2, 16, start=100)
    response = client.infer(request("add", b=b, a=a))
    assert np.array_equal(outputs(response)["sum"], a + b)


def test_the_answer_carries_the_request_s_id_and_what_answered(client: Client) -> None:
    response = client.infer(request("scale", id_="order 7 ✓", x=floats(1, 2)))
    assert (response.id, response.model_name, response.model_version) == ("order 7 ✓", "scale", "1")


def test_only_requested_outputs_come(client: Client) -> None:
    wanted = request("scale", x=floats(1, 2))
    wanted.outputs.add(name="y")
    assert list(outputs(client.infer(wanted))) == ["y"]


@pytest.mark.parametrize("shape", [(1, 0), (3, 0)])
def test_a_dimension_of_zero_is_an_empty_tensor(client: Client, shape: tuple[int, ...]) -> None:
    response = client.infer(request("wide", x=np.zeros(shape, np.float32)))
    assert outputs(response)["y"].shape == shape


def test_unknown_fields_and_parameters_are_ignored(client: Client) -> None:
    plain = request("scale", x=floats(1, 2))
    plain.parameters["note"].string_param = "from a later version of the protocol"
    with_unknown = pb.ModelInferRequest.FromString(plain.SerializeToString() + b"\xfa\x3e\x03abc")
    assert outputs(client.infer(with_unknown))["y"].tolist() == [[0.0, 3.0]]


def test_text_with_a_zero_byte_comes_back_whole(client: Client) -> None:
    text = np.array([[b"a\0b", b"", b"\0", b"\xff"]], dtype=object)
    assert outputs(client.infer(request("identity_bytes", x=text)))["y"].tolist() == text.tolist()


def test_a_request_after_a_refused_one_is_answered(client: Client) -> None:

    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        client.infer(request("scale", z=floats(1, 2)))
    assert outputs(client.infer(request("scale", x=floats(1, 2))))["y"].tolist() == [[0.0, 3.0]]
