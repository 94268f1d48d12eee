"""Captured records out of files, and inferences out of their bodies."""

import gzip
import json
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from infermesh.capture.files import CaptureError, framed
from infermesh.capture.reader import Captured, read
from infermesh.capture.writer import CaptureWriter
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.infermesh_capture_v1.capture_pb2 import Body, Record

GRPC = "application/grpc"
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
REST = "/v2/models/a%20b/versions/2/infer"


def body(*parts: bytes, kind: str = GRPC, encoding: str = "", cut: int | None = None) -> Body:
    data = b"".join(parts)
    kept = data[:cut]
    truncated = len(kept) < len(data)
    return Body(data=kept, size=len(data), truncated=truncated, content_type=kind, encoding=encoding)


def message(content: bytes, flag: int = 0) -> bytes:
    return struct.pack(">BI", flag, len(content)) + content


def request() -> pb.ModelInferRequest:
    asked = pb.ModelInferRequest(model_name="fraud", model_version="3", id="7")
    asked.inputs.add(name="amount", datatype="FP32", shape=[1, 2])
    shared = asked.inputs.add(name="shared", datatype="FP32", shape=[1])
    shared.parameters["shared_memory_region"].string_param = "r"
    asked.inputs.add(name="country", datatype="BYTES", shape=[2])
    asked.raw_input_contents.append(np.array([1.5, 2.5], np.float32).tobytes())
    asked.raw_input_contents.append(b"\x02\0\0\0DE\0\0\0\0")
    return asked


def response(score: float) -> pb.ModelInferResponse:
    answer = pb.ModelInferResponse(model_name="fraud", model_version="3", id="7")
    answer.outputs.add(name="score", datatype="FP64", shape=[1]).contents.fp64_contents.append(score)
    return answer


def unary(**fields: object) -> Captured:
    record = {
        "path": INFER,
        "request": body(message(request().SerializeToString())),
        "response": body(message(response(0.25).SerializeToString())),
    }
    return Captured(Record(**(record | fields)))  # type: ignore[arg-type]


def rest(document: object, tail: bytes = b"", **fields: str) -> Captured:
    sent = body(json.dumps(document).encode(), tail, kind="application/json")
    return Captured(Record(path=REST, request=sent, **fields))  # type: ignore[arg-type]


def test_records_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    for number in range(3):
        with CaptureWriter(tmp_path, now=lambda n=number: datetime(2026, 1, 3 - n, tzinfo=UTC)) as captures:  # type: ignore[misc]
            captures.write(Record(route=f"{number}-{it}").SerializeToString() for it in "ab")
    found = [captured.record.route for captured in read(tmp_path)]
    assert found == ["2-a", "2-b", "1-a", "1-b", "0-a", "0-b"]
    first = sorted(tmp_path.iterdir())[0]
    assert [captured.record.route for captured in read(first)] == ["2-a", "2-b"]


def test_a_time_is_in_utc() -> None:
    captured = Captured(Record(time_unix_nano=1_767_225_600_123_456_789))
    assert captured.time == datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)


def test_an_open_file_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    captures = CaptureWriter(tmp_path)
    captures.write([Record(route="r").SerializeToString()])
    assert list(read(tmp_path)) == []
    (opened,) = tmp_path.iterdir()
    with opened.open("ab") as file:
        file.write(framed(b"cut")[:2])
    assert [captured.record.route for captured in read(tmp_path, include_open=True)] == ["r"]


def test_a_file_that_goes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.capture").write_bytes(framed(Record(route=name).SerializeToString()))
    found = read(tmp_path)
    assert next(found).record.route == "a"
    (tmp_path / "b.capture").unlink()
    assert [captured.record.route for captured in found] == ["c"]
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "none"))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (framed(b"")[:1] + framed(b"abc")[:2], "found 2 bytes of a record that is cut off"),
        (b"\xff" * 9, "found no length at byte 0"),
        (framed(b"\xff"), "no captured records"),
    ],
)
def test_a_file_of_something_else_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "x.capture"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=rf"x\.capture: .*{found}"):
        list(read(path))


def test_an_inference_over_grpc_is_arrays() -> None:
    (asked,) = unary().requests
    assert (asked.model, asked.version, asked.id) == ("fraud", "3", "7")
    assert list(asked.tensors) == ["amount", "shared", "country"]
    amount = asked.tensors["amount"]
    assert amount.dtype == np.float32
    assert amount.tolist() == [[1.5, 2.5]]
    assert asked.tensors["amount"] is amount
    assert asked.tensors["country"].tolist() == [b"DE", b""]
    with pytest.raises(CaptureError, match="tensor 'shared': found it in shared memory"):
        asked.tensors["shared"]
    with pytest.raises(KeyError):
        asked.tensors["none"]
    (answer,) = unary().responses
    assert answer.tensors["score"].tolist() == [0.25]


def test_answers_of_a_stream_are_several() -> None:
    answers = [pb.ModelStreamInferResponse(infer_response=response(score)) for score in (0.1, 0.2)]
    failed = pb.ModelStreamInferResponse(error_message="no", infer_response=pb.ModelInferResponse(id="9"))
    sent = body(*(message(one.SerializeToString()) for one in [*answers, failed]))
    found = unary(path=STREAM, response=sent).responses
    assert [one.tensors["score"].tolist() for one in found[:2]] == [[0.1], [0.2]]
    assert (found[2].id, found[2].error, len(found[2].tensors)) == ("9", "no", 0)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_message_is_read(encoding: str, compress: object) -> None:
    assert callable(compress)
    sent = body(message(compress(request().SerializeToString()), 1), encoding=encoding)
    assert unary(request=sent).requests[0].tensors["amount"].shape == (1, 2)


def test_what_was_kept_whole_is_read() -> None:
    whole = message(request().SerializeToString())
    assert len(unary(path=STREAM, request=body(whole, whole, cut=len(whole) + 9)).requests) == 1
    with pytest.raises(CaptureError, match=rf"found 9 of {len(whole)} bytes, expected the whole message"):
        _ = unary(request=body(whole, cut=9)).requests
    assert unary(response=body()).responses == ()


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"path": "/shop.Orders/Create"}, "found '/shop.Orders/Create', expected an inference"),
        ({"request": body(message(b"\xff"))}, "found no ModelInferRequest at byte 0"),
        ({"request": body(message(b"x", 1), encoding="br")}, "compressed with 'br'"),
        ({"request": body(message(b"no gzip", 1), encoding="gzip")}, "found no gzip"),
        ({"request": body(message(gzip.compress(b"x")[:-1], 1), encoding="gzip")}, "cut off or larger"),
    ],
)
def test_a_body_of_something_else_is_named(fields: dict[str, object], found: str) -> None:
    with pytest.raises(CaptureError, match=found):
        _ = unary(**fields).requests


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "found"),
    [
        ("FP32", [3], bytes(8), "reshape"),
        ("FP8", [1], b"x", "found datatype 'FP8'"),
        ("BYTES", [1 << 40], b"\0\0\0\0", "expected 1099511627776 texts"),
        ("BYTES", [1], b"\x09\0\0\0a", "is cut off"),
    ],
)
def test_a_tensor_that_is_none_is_named(datatype: str, shape: list[int], raw: bytes, found: str) -> None:
    asked = pb.ModelInferRequest(raw_input_contents=[raw])
    asked.inputs.add(name="x", datatype=datatype, shape=shape)
    (inference,) = unary(request=body(message(asked.SerializeToString()))).requests
    with pytest.raises(CaptureError, match=f"tensor 'x': .*{found}"):
        inference.tensors["x"]


def test_an_inference_over_rest_is_arrays() -> None:
    floats = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2.5], ["NaN", "-Infinity"]]}
    texts = {"name": "t", "datatype": "BYTES", "shape": [2], "data": ["a", "\u00fc"]}
    binary = {"name": "b", "datatype": "INT16", "shape": [2], "parameters": {"binary_data_size": 4}}
    captured = rest({"id": "5", "inputs": [floats, binary, texts]}, b"\x01\0\xff\xff")
    (asked,) = captured.requests
    assert (asked.model, asked.version, asked.id) == ("a b", "2", "5")
    assert asked.tensors["x"].tolist()[0] == [1, 2.5]
    assert np.isnan(asked.tensors["x"][1, 0])
    assert np.isneginf(asked.tensors["x"][1, 1])
    assert asked.tensors["t"].tolist() == [b"a", "\u00fc".encode()]
    assert asked.tensors["b"].tolist() == [1, -1]
    assert captured.responses == ()


def test_what_is_no_inference_over_rest_is_named() -> None:
    documents: list[object] = [[], {}, {"inputs": [{}]}, {"inputs": 3}]
    for document in documents:
        with pytest.raises(CaptureError, match="found no JSON inference with 'inputs'"):
            _ = rest(document).requests
    misfit = {"name": "x", "datatype": "INT8", "shape": [1], "data": [300]}
    with pytest.raises(CaptureError, match="tensor 'x'"):
        rest({"inputs": [misfit]}).requests[0].tensors["x"]
    cut = Record(path=REST, request=body(b"{}", kind="application/json", cut=1))
    with pytest.raises(CaptureError, match="found 1 of 2 bytes"):
        _ = Captured(cut).requests
    failed = Record(path=REST, http_status=400, response=body(b"{}", kind="application/json"))
    assert Captured(failed).responses == ()
