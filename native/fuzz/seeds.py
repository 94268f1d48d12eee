"""Writes inputs for the fuzz targets to start from: ``python seeds.py DIRECTORY``."""

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from infermesh.proto.inference import grpc_service_pb2 as pb

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, END_STREAM_AND_HEADERS = 1, 5


def messages() -> Iterator[bytes]:
    """Requests to the models of ``fuzzing.rs``: raw, by value, in shared memory, with parameters."""
    raw = pb.ModelInferRequest(model_name="m", model_version="1", id="id")
    raw.inputs.add(name="x", datatype="FP32", shape=[2, 2])
    raw.outputs.add(name="y").parameters["classification"].int64_param = 3
    raw.parameters["timeout"].int64_param = 5
    raw.parameters["priority"].uint64_param = 1
    raw.parameters["sequence_id"].string_param = "s"
    raw.parameters["sequence_start"].bool_param = True
    raw.raw_input_contents.append(bytes(16))
    yield raw.SerializeToString()

    words = pb.ModelInferRequest(model_name="m")
    tensor = words.inputs.add(name="x", datatype="BYTES", shape=[1, 2])
    tensor.contents.bytes_contents.extend([b"one", b""])
    yield words.SerializeToString()

    two = pb.ModelInferRequest(model_name="m")
    two.inputs.add(name="x", datatype="BOOL", shape=[2]).contents.bool_contents.extend([True, False])
    two.inputs.add(name="z", datatype="INT64", shape=[1, 2]).contents.int64_contents.extend([1, -1])
    yield two.SerializeToString()

    shared = pb.ModelInferRequest(model_name="m")
    parameters = shared.inputs.add(name="x", datatype="FP32", shape=[2]).parameters
    parameters["shared_memory_region"].string_param = "region"
    parameters["shared_memory_byte_size"].int64_param = 8
    parameters["shared_memory_offset"].int64_param = 1
    yield shared.SerializeToString()


def bodies() -> Iterator[bytes]:
    """HTTP bodies, with the length of their JSON part in front."""
    binary = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    values = {"name": "x", "datatype": "BYTES", "shape": [1, 2], "data": ["a", "\u00fc"]}
    output = {"name": "y", "parameters": {"binary_data": True, "classification": 2}}
    for inputs, tail in (([binary], bytes(8)), ([values], b"")):
        text = json.dumps({"id": "1", "inputs": inputs, "outputs": [output]}).encode()
        yield len(text).to_bytes(2, "little") + text + tail
    nested = {"name": "x", "datatype": "FP32", "shape": [2], "data": [[1.5e3, "NaN"]]}
    text = json.dumps({"inputs": [nested], "parameters": {"timeout": 1}}).encode()
    yield len(text).to_bytes(2, "little") + text
    yield b"\0\0/v2/models/m%20/versions/1/infer"


def connections() -> Iterator[bytes]:
    """The start of HTTP/2 connections whose authority is a path; the first byte is what one read gives."""
    indexed = b"\x41\x0a%2Ftmp%2Fs1"
    named = b"\x40\x0a:authority\x0a%2Ftmp%2Fs1"
    for block in (indexed, b"\x82\x87\x84" + named):
        header = len(block).to_bytes(3, "big") + bytes([HEADERS, END_STREAM_AND_HEADERS, 0, 0, 0, 1])
        settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
        for step in (0, 200):
            yield bytes([step]) + PREFACE + settings + header + block


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def grpc_answers() -> Iterator[bytes]:
    """What gRPC servers say to the load generator; in front the protocol, what one turn says and reads."""
    tensor = pb.ModelInferResponse(raw_output_contents=[bytes(4)])
    tensor.outputs.add(name="y", datatype="FP32", shape=[1])
    last = pb.ModelStreamInferResponse(infer_response=tensor)
    last.infer_response.parameters["triton_final_response"].bool_param = True
    failed = pb.ModelStreamInferResponse(error_message="no")
    settings = frame(4, 0, 0, b"\0\x03\0\0\0\x04" + b"\0\x04\0\0\0\x40")
    ok = b"\x88\0\x0bgrpc-status\x010"
    refused = b"\x88\x40\x0bgrpc-status\x018\0\x0cgrpc-message\x03no%20"
    for protocol, messages in ((0, (tensor, tensor)), (1, (failed, last))):
        texts = [message.SerializeToString() for message in messages]
        first, second = (b"\0" + len(text).to_bytes(4, "big") + text for text in texts)
        said = [
            settings,
            frame(8, 0, 0, bytes([0, 1, 0, 0]))
            + frame(8, 0, 1, bytes([0, 0, 0, 200]))
            + frame(6, 0, 0, bytes(8)),
            frame(0, 0, 1, first) + frame(1, END_STREAM_AND_HEADERS, 1, ok),
            frame(0, 8, 3, b"\1" + second + b"\0")
            + frame(1, 1, 3, refused[:9])
            + frame(9, 4, 3, refused[9:]),
            frame(3, 0, 5, bytes([0, 0, 0, 7])) + frame(7, 0, 0, bytes([0, 0, 0, 3, 0, 0, 0, 0])),
        ]
        yield bytes([protocol, len(settings) - 1, 255]) + b"".join(said)
        yield bytes([protocol, 2, 20]) + b"".join(said)


def http_answers() -> Iterator[bytes]:
    """What HTTP servers say to the load generator; in front as above."""
    empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    output = {"name": "y", "datatype": "FP32", "shape": [1]}
    listed = json.dumps({"outputs": [output | {"data": [0]}]}).encode()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
    binary = json.dumps({"outputs": [output | {"parameters": {"binary_data_size": 4}}]}).encode()
    head = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n"
    for protocol, said in (
        (2, chunked % (len(listed), listed)),
        (2, empty + head % (len(binary), len(binary) + 4) + binary + bytes(4)),
        (0x82, empty + b'HTTP/1.0 503 No\r\n\r\n{"error": "no"}'),
    ):
        # The first answer is the probe's.
        yield bytes([protocol, len(empty) - 1, 255]) + empty + said


def messages_of_apps() -> Iterator[bytes]:
    """Bodies that rules read and change; in front the kind of input, its source and a target."""
    order = {"amount": "12.50", "card": {"country": "DE"}, "items": [{"price": 1.5}, {"price": None}]}
    for kind, source, target in (
        (0, "body.amount", "body.risk"),
        (8, "body.items[*].price", "body.card.risk"),
        (24, "body.items[*].price", "body.items.risk"),
        (2, "body.card.country", 'body["a.b"].c'),
        (3, "body", "header.x-risk"),
        (5, "query.a", "body.amount"),
        (1, "body[*][*]", "body.a"),
    ):
        yield bytes([kind]) + f"{source}\n{target}\n{json.dumps(order, indent=kind % 3 or None)}".encode()
    yield b'\x01body[*][0]\nbody.a\n[[1, "2"], [3e2, 4]]'
    yield b'\x00body["\\u0061"]\nbody.a\n{"\\u0061": 1, "a": 2, "a": null}'


def transcoded() -> Iterator[bytes]:
    """Requests to a proxy with answers; in front the path, the length of the JSON part, that of the body."""
    answer = pb.ModelInferResponse(model_name="m", model_version="1", id="7")
    answer.outputs.add(name="y", datatype="FP32", shape=[2, 2])
    answer.outputs.add(name="s", datatype="BYTES", shape=[2])
    answer.raw_output_contents.extend([bytes(16), b"\1\0\0\0a\0\0\0\0"])
    said = answer.SerializeToString()
    number = {"name": "n", "datatype": "INT8", "shape": [1, 1], "parameters": {"binary_data_size": 1}}
    head = json.dumps({"id": "7", "inputs": [number]}).encode()
    yield bytes([0, len(head), len(head) + 1]) + head + b"\5" + said
    for path, body in (
        (1, {"x": [1.5, "NaN"], "n": -3, "s": ["a", "\u00fc"], "parameters": {"priority": 1}}),
        (1, {"instances": [{"x": [1, 2], "n": [1]}, {"n": 2, "x": [3, 4]}]}),
        (2, {"trace_level": ["OFF"], "trace_rate": None}),
        (3, {"log_info": True, "log_verbose_level": 1}),
    ):
        text = json.dumps(body).encode()
        yield bytes([path, 0, len(text)]) + text + said
    request = pb.ModelInferRequest(model_name="m")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(bytes(8))
    message = request.SerializeToString()
    yield bytes([0, 0, len(message)]) + message + said


def main() -> None:
    """Write each target's seeds into a directory of its own."""
    requests = list(messages())
    compressed = [gzip.compress(requests[0], mtime=0), zlib.compress(requests[1])]
    targets = {"grpc": [*requests, *compressed], "http": list(bodies()), "frames": list(connections())}
    targets["loadgen"] = [*grpc_answers(), *http_answers()]
    targets["enrich"] = list(messages_of_apps())
    targets["transcode"] = list(transcoded())
    for target, seeds in targets.items():
        directory = Path(sys.argv[1]) / target
        directory.mkdir(parents=True, exist_ok=True)
        for index, seed in enumerate(seeds):
            (directory / f"seed-{index}").write_bytes(seed)


if __name__ == "__main__":
    main()
