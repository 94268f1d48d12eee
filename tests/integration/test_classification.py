"""Outputs as their largest values, through every client."""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from support import onnx_models
from support.client import Client, refused, request, to_raw
from support.repository import Repository
from support.rest import HEADER_LENGTH, HTTP, Rest, json_request
from support.server import LOOPBACK, Serve, Server, serving
from support.triton_clients import KINDS, triton

CONFIG = """
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: 4 }
output { name: "y" data_type: TYPE_FP32 dims: 4 label_filename: "names.txt" }
"""
ROWS = np.array([[3, 1, 4, 1.5], [-1, 0.25, -2, float("inf")]], np.float32)
TWO_OF_EACH = [["4.000000:2", "3.000000:0:cat"], ["inf:3", "0.250000:1:dog"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = Repository.make(tmp_path_factory.mktemp("classification"))
    repository.onnx("named", onnx_models.identity(), config=CONFIG)
    # Classes beyond the file have no name, and neither has one whose line is empty.
    (repository.root / "named" / "names.txt").write_text("cat\ndog\n\n", encoding="utf-8")
    repository.onnx("unbatched", onnx_models.identity("INT32", (5,)))
    for datatype in ("FP16", "BYTES", "BOOL", "INT64", "UINT8", "FP64"):
        repository.onnx(datatype.lower(), onnx_models.identity(datatype))
    with serving(repository.root, *LOOPBACK, *HTTP) as server:
        yield server


def classes(client: Client, model: str, x: Any, count: int) -> tuple[list[int], list[str]]:
    """Shape and texts of the one output."""
    message = request(model, x=x)
    message.outputs.add(name="y").parameters["classification"].int64_param = count
    answer = client.infer(message)
    (output,) = answer.outputs
    assert output.datatype == "BYTES"
    raw, texts = answer.raw_output_contents[0], []
    while raw:
        length = int.from_bytes(raw[:4], "little")
        texts.append(raw[4 : 4 + length].decode())
        raw = raw[4 + length :]
    return list(output.shape), texts


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_of_each_row(server: Server, kind: str) -> None:
    with triton(kind, server) as client:
        tensor = client.input("x", [2, 4], "FP32").set_data_from_numpy(ROWS)
        answer = client.call("infer", "named", [tensor], outputs=[client.output("y", class_count=2)])
        assert answer.as_numpy("y").astype(str).tolist() == TWO_OF_EACH


def test_over_http_in_json_and_in_binary(server: Server) -> None:
    with Rest(server.http_port) as rest:
        wanted: dict[str, Any] = {"name": "y", "parameters": {"classification": 1}}
        body = json_request("FP32", [1, 4], [3, 1, 4, 1.5], outputs=[wanted])
        (output,) = rest.post("/v2/models/named/infer", body).json["outputs"]
        assert output == {"name": "y", "datatype": "BYTES", "shape": [1, 1], "data": ["4.000000:2"]}
        wanted["parameters"]["binary_data"] = True
        answer = rest.post("/v2/models/named/infer", body)
        length = int(answer.headers[HEADER_LENGTH.lower()])
        (output,) = json.loads(answer.body[:length])["outputs"]
        assert output["parameters"] == {"binary_data_size": 14}
        assert answer.body[length:] == b"\x0a\0\0\x004.000000:2"


@pytest.mark.parametrize("count", [4, 5, 2**31, 2**63 - 1])
def test_more_than_there_are_is_all_there_are(client: Client, count: int) -> None:
    shape, texts = classes(client, "named", ROWS[:1], count)
    assert shape == [1, 4]
    assert texts == ["4.000000:2", "3.000000:0:cat", "1.500000:3", "1.000000:1:dog"]


@pytest.mark.parametrize(
    ("datatype", "values", "expected"),
    [
        ("INT64", [-(2**63), 2**63 - 1, 0, -1], ["9223372036854775807:1", "0:2"]),
        ("UINT8", [0, 255, 7, 255], ["255:1", "255:3"]),
        ("FP64", [0.1, 1e300, float("nan"), -0.0], [f"{1e300:f}:1", "0.100000:0"]),
    ],
)
def test_numbers_are_written_as_c_writes_them(
    client: Client, datatype: str, values: list[float], expected: list[str]
) -> None:
    x = np.array([values], onnx_models.DATATYPES[datatype][1])
    assert classes(client, datatype.lower(), x, 2) == ([1, 2], expected)


def test_a_model_that_does_not_batch_is_one_row(client: Client) -> None:
    assert classes(client, "unbatched", np.array([5, 1, 9, 7, 3], np.int32), 2) == ([2], ["9:2", "7:3"])


@pytest.mark.parametrize("datatype", ["FP16", "BYTES", "BOOL"])
def test_types_that_have_no_classes(client: Client, datatype: str) -> None:
    x = (
        np.array([[b""] * 4], object)
        if datatype == "BYTES"
        else np.zeros((1, 4), "?" if datatype == "BOOL" else "<f2")
    )
    assert to_raw(x)
    with refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        f"class result not available for output due to unsupported type '{datatype}'",
    ):
        classes(client, datatype.lower(), x, 1)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("int64_param", 0, "invalid value for 'classification' parameter, expected > 0, got 0"),
        ("int64_param", -1, "invalid value for 'classification' parameter, expected > 0, got -1"),
        ("string_param", "2", "invalid value type for 'classification' parameter, expected int64_param"),
        ("double_param", 2.0, "invalid value type for 'classification' parameter, expected int64_param"),
        ("bool_param", True, "invalid value type for 'classification' parameter, expected int64_param"),
    ],
)
def test_counts_that_are_none(client: Client, field: str, value: object, message: str) -> None:
    wrong = request("named", x=ROWS)
    setattr(wrong.outputs.add(name="y").parameters["classification"], field, value)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, message):
        client.infer(wrong)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("absent.txt", None, "absent.txt: found no such file"),
        ("../../secret", None, "found a label_filename outside of the model's directory"),
        ("/etc/hostname", None, "found a label_filename outside of the model's directory"),
        ("names.txt", b"\xff\xfe", "names.txt: cannot be read"),
    ],
)
def test_names_that_cannot_be_read(
    serve: Serve, repository: Repository, name: str, content: bytes | None, reason: str
) -> None:
    repository.onnx("named", onnx_models.identity(), config=CONFIG.replace("names.txt", name))
    (repository.root.parent / "secret").write_text("secret")
    if content is not None:
        (repository.root / "named" / name).write_bytes(content)
    server = serve()
    server.wait_for("server-not-ready")
    with Client(server.target) as client:
        state, why = client.index()["named", "1"]
    assert state == "UNAVAILABLE"
    assert reason in why
    assert "secret\n" not in why
