"""Inference over HTTP: values in JSON, tensors in binary, and both at once."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from support import onnx_models
from support.client import to_raw
from support.rest import HEADER_LENGTH, Rest, json_request, triton_client
from support.server import Server

VALUES: dict[str, list[Any]] = {
    "BOOL": [True, False, True, True],
    "UINT8": [0, 1, 254, 255],
    "UINT16": [0, 1, 65534, 65535],
    "UINT32": [0, 1, 2, 4294967295],
    "UINT64": [0, 1, 2, 18446744073709551615],
    "INT8": [-128, -1, 0, 127],
    "INT16": [-32768, -1, 0, 32767],
    "INT32": [-2147483648, -1, 0, 2147483647],
    "INT64": [-9223372036854775808, -1, 0, 9223372036854775807],
    "FP32": [0.10000000149011612, -1.5, 3.4028234663852886e38, 0.0],
    "FP64": [0.1, -1.5, 1.7976931348623157e308, 0.0],
    "BYTES": ["", "plain", "h\u00e9llo \u2603", 'quote " and \n line'],
}


@pytest.mark.parametrize("datatype", VALUES)
def test_every_type_travels_in_json(rest: Rest, datatype: str) -> None:
    request = json_request(datatype, [1, 4], VALUES[datatype], id="seven")
    answer = rest.post(f"/v2/models/identity_{datatype.lower()}/infer", request)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "id": "seven",
        "model_name": f"identity_{datatype.lower()}",
        "model_version": "1",
        "outputs": [
            {"name": "y", "datatype": datatype, "shape": [1, 4], "data": answer.json["outputs"][0]["data"]}
        ],
    }
    found = answer.json["outputs"][0]["data"]
    if datatype == "FP32":
        assert np.array_equal(np.array(found, np.float32), np.array(VALUES[datatype], np.float32))
    else:
        assert found == VALUES[datatype]


@pytest.mark.parametrize("datatype", onnx_models.DATATYPES)
def test_every_type_travels_in_binary(rest: Rest, datatype: str) -> None:
    raw = (
        to_raw(np.array([b"", b"\xff\xfe", b"abc", b"d"], dtype=object))
        if datatype == "BYTES"
        else bytes([0, 1] * (2 * np.dtype(onnx_models.DATATYPES[datatype][1]).itemsize))
    )
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": "x",
                    "datatype": datatype,
                    "shape": [1, 4],
                    "parameters": {"binary_data_size": len(raw)},
                }
            ],
            "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
        }
    ).encode()
    answer = rest.post(
        f"/v2/models/identity_{datatype.lower()}/versions/1/infer",
        header + raw,
        {HEADER_LENGTH: str(len(header))},
    )
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers[HEADER_LENGTH.lower()])
    (output,) = json.loads(answer.body[:length])["outputs"]
    assert output == {
        "name": "y",
        "datatype": datatype,
        "shape": [1, 4],
        "parameters": {"binary_data_size": len(raw)},
    }
    assert answer.body[length:] == raw


def test_arrays_may_be_nested(rest: Rest) -> None:
    answer = rest.post("/v2/models/wide/infer", json_request("FP32", [2, 2], [[1, 2.5], [3, 4]]))
    assert answer.json["outputs"][0]["data"] == [1.0, 2.5, 3.0, 4.0]


def test_numbers_that_json_has_no_token_for(rest: Rest) -> None:
    names = ["NaN", "Infinity", "-Infinity"]
    answer = rest.post("/v2/models/wide/infer", json_request("FP32", [1, 3], names))
    assert answer.json["outputs"][0]["data"] == names


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_tritonclient(zoo: Server, binary_in: bool, binary_out: bool) -> None:
    a = np.arange(32, dtype=np.float32).reshape(2, 16)
    b = np.ones((2, 16), np.float32)
    inputs = [triton.InferInput(name, [2, 16], "FP32") for name in ("a", "b")]
    inputs[0].set_data_from_numpy(a, binary_data=binary_in)
    # The other way round: binary tails skip the inputs that have none.
    inputs[1].set_data_from_numpy(b, binary_data=not binary_in)
    wanted = [triton.InferRequestedOutput("sum", binary_data=binary_out)]
    with triton_client(zoo.http_port) as client:
        result = client.infer("add", inputs, outputs=wanted, request_id="9")
        assert np.array_equal(result.as_numpy("sum"), a + b)
        assert result.get_response()["id"] == "9"
        # Nothing asked for: tritonclient asks for all outputs in binary.
        assert np.array_equal(client.infer("add", inputs).as_numpy("sum"), a + b)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_tritonclient_compresses(zoo: Server, algorithm: str) -> None:
    x = np.zeros((64, 64), np.float32)
    tensor = triton.InferInput("x", [64, 64], "FP32")
    tensor.set_data_from_numpy(x)
    with triton_client(zoo.http_port) as client:
        result = client.infer("wide", [tensor], request_compression_algorithm=algorithm)
        assert np.array_equal(result.as_numpy("y"), x)


def test_strings_of_tritonclient(zoo: Server) -> None:
    words = np.array([["a", "", "h\u00e9", "d"]], dtype=object)
    for binary in (True, False):
        tensor = triton.InferInput("x", [1, 4], "BYTES")
        tensor.set_data_from_numpy(words, binary_data=binary)
        wanted = [triton.InferRequestedOutput("y", binary_data=binary)]
        with triton_client(zoo.http_port) as client:
            found = client.infer("identity_bytes", [tensor], outputs=wanted).as_numpy("y")
        texts = [it.decode() if isinstance(it, bytes) else it for it in found.reshape(-1)]
        assert texts == words.reshape(-1).tolist()


@pytest.mark.parametrize("size", [1, 300_000, 3_000_000])
def test_large_tensors(zoo: Server, size: int) -> None:
    x = np.arange(size, dtype=np.float32).reshape(1, size)
    tensor = triton.InferInput("x", [1, size], "FP32")
    tensor.set_data_from_numpy(x)
    with triton_client(zoo.http_port) as client:
        assert np.array_equal(client.infer("wide", [tensor]).as_numpy("y"), x)


def test_a_body_that_is_one_tensor(rest: Rest) -> None:
    raw = np.arange(8, dtype=np.float32).tobytes()
    answer = rest.post("/v2/models/identity_fp32/infer", raw, {HEADER_LENGTH: "0"})
    assert answer.status == 200, answer.body
    length = int(answer.headers[HEADER_LENGTH.lower()])
    assert json.loads(answer.body[:length])["outputs"][0]["shape"] == [2, 4]
    assert answer.body[length:] == raw
    assert rest.post("/v2/models/identity_fp32/infer", raw[:-1], {HEADER_LENGTH: "0"}).status == 400
    assert "1 input" in rest.post("/v2/models/add/infer", raw, {HEADER_LENGTH: "0"}).error


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_json_may_be_compressed(rest: Rest, name: str, pack: Callable[[bytes], bytes]) -> None:
    body = pack(json.dumps(json_request("FP32", [1, 4], [1, 2, 3, 4])).encode())
    answer = rest.post("/v2/models/identity_fp32/infer", body, {"Content-Encoding": name})
    assert answer.json["outputs"][0]["data"] == [1, 2, 3, 4]
    assert rest.post("/v2/models/identity_fp32/infer", b"junk", {"Content-Encoding": name}).status == 400
    assert rest.post("/v2/models/identity_fp32/infer", body, {"Content-Encoding": "br"}).status == 501


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_floats_have_no_json_form(rest: Rest, datatype: str) -> None:
    path = f"/v2/models/identity_{datatype.lower()}/infer"
    answer = rest.post(path, json_request(datatype, [1, 4], [1, 2, 3, 4]))
    assert answer.status == 400
    assert answer.error == (
        f"sending {datatype} data via JSON is not supported. Please use the binary data format for input 'x'"
    )
    header = json.dumps(
        {
            "inputs": [
                {"name": "x", "datatype": datatype, "shape": [1, 4], "parameters": {"binary_data_size": 8}}
            ]
        }
    ).encode()
    answer = rest.post(path, header + bytes(8), {HEADER_LENGTH: str(len(header))})
    assert answer.status == 400
    assert "binary data format for output 'y'" in answer.error
