"""Tensors given by value, in the typed fields of the message, are the tensors given raw."""

from typing import Any

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support.client import Client, outputs, refused

EXTREMES: list[tuple[str, str, list[Any]]] = [
    ("BOOL", "bool_contents", [True, False, False, True]),
    ("INT8", "int_contents", [-128, 127, 0, 7]),
    ("INT16", "int_contents", [-32768, 32767, 0, 7]),
    ("INT32", "int_contents", [-(2**31), 2**31 - 1, 0, 7]),
    ("INT64", "int64_contents", [-(2**63), 2**63 - 1, 0, 7]),
    ("UINT8", "uint_contents", [0, 255, 1, 7]),
    ("UINT16", "uint_contents", [0, 65535, 1, 7]),
    ("UINT32", "uint_contents", [0, 2**32 - 1, 1, 7]),
    ("UINT64", "uint64_contents", [0, 2**64 - 1, 1, 7]),
    ("FP32", "fp32_contents", [-0.0, float("inf"), 1.5, -2.25]),
    ("FP64", "fp64_contents", [-0.0, float("-inf"), 1e300, -2.25]),
    ("BYTES", "bytes_contents", [b"", b"plain", b"\xff\xfe", b"x" * 1000]),
]


def by_value(datatype: str, field: str, values: list[Any]) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=f"identity_{datatype.lower()}")
    tensor = request.inputs.add(name="x", datatype=datatype, shape=[len(values) // 4, 4])
    getattr(tensor.contents, field).extend(values)
    return request


@pytest.mark.parametrize(("datatype", "field", "values"), EXTREMES)
def test_every_field_reaches_the_model(client: Client, datatype: str, field: str, values: list[Any]) -> None:
    response = client.infer(by_value(datatype, field, values))
    assert outputs(response)["y"].tolist() == [values]


@pytest.mark.parametrize(
    ("datatype", "field", "value"),
    [("INT8", "int_contents", 128), ("INT16", "int_contents", -32769), ("UINT8", "uint_contents", 256)],
)
def test_a_value_beyond_its_type_is_refused(client: Client, datatype: str, field: str, value: int) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, f"value {value}", "'x'", datatype):
        client.infer(by_value(datatype, field, [value, 0, 0, 0]))


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_precision_has_no_form_by_value(client: Client, datatype: str) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "'x'", datatype):
        client.infer(by_value(datatype, "fp32_contents", [0.0] * 4))


def test_too_few_values_are_a_wrong_size(client: Client) -> None:
    request = by_value("FP32", "fp32_contents", [0.0] * 4)
    request.inputs[0].shape[:] = [2, 4]
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "byte size mismatch", "Expected 32, got 16"):
        client.infer(request)
