"""Inferences of the v2 protocol in captured bodies, with their tensors as numpy arrays.

Over gRPC a body is a row of messages, each with a prefix; over REST it is JSON, and may have binary tensors
behind it. An array is made when it is asked for.
"""

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, TypeVar
from urllib.parse import unquote

import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from infermesh.capture.files import CaptureError
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.infermesh_capture_v1.capture_pb2 import Body, Record
from infermesh.tensors import numpy_type, to_array

Array = NDArray[Any]

_SERVICE = "/inference.GRPCInferenceService/"
_REST_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_PREFIX_BYTES = 5
#: What a compressed body may become.
_MAX_INFLATED_BYTES = 256 << 20
#: For zlib: what gzip has in front, or zlib itself.
_WINDOWS = {"gzip": 31, "deflate": 15}

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}

_Message = TypeVar("_Message", bound=Message)


class Tensors(Mapping[str, Array]):
    """Arrays by name, read-only. Each is decoded when it is first asked for, which raises CaptureError if its
    bytes are not what its shape says, or were in shared memory.
    """

    def __init__(self, decoders: Mapping[str, Callable[[], Array]]) -> None:
        self._decoders = decoders
        self._arrays: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._arrays:
            try:
                self._arrays[name] = self._decoders[name]()
            except (ValueError, TypeError, OverflowError, RecursionError) as error:
                raise CaptureError(f"tensor {name!r}: {error}") from error
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decoders)

    def __len__(self) -> int:
        return len(self._decoders)


@dataclass(frozen=True)
class Inference:
    """What a model was asked, or answered."""

    model: str
    version: str
    id: str
    tensors: Tensors
    #: Of a stream's answer that is none.
    error: str = ""


def requests(record: Record) -> tuple[Inference, ...]:
    """Return the inferences of a request's body; see ``Captured.requests``."""
    if not _is_grpc(record.request):
        return (_of_json(record, record.request, "inputs"),)
    _check_method(record)
    return tuple(map(_of_request, _messages(record.request, pb.ModelInferRequest)))


def responses(record: Record) -> tuple[Inference, ...]:
    """Return the inferences of an answer's body; see ``Captured.responses``."""
    if record.response.size == 0 or record.http_status >= 400:
        return ()
    if not _is_grpc(record.response):
        return (_of_json(record, record.response, "outputs"),)
    if _check_method(record) == "ModelInfer":
        return tuple(map(_of_response, _messages(record.response, pb.ModelInferResponse)))
    streamed = _messages(record.response, pb.ModelStreamInferResponse)
    return tuple(_of_response(one.infer_response, one.error_message) for one in streamed)


def _is_grpc(body: Body) -> bool:
    return body.content_type.startswith("application/grpc")


def _check_method(record: Record) -> str:
    method = record.path.removeprefix(_SERVICE)
    if not record.path.startswith(_SERVICE) or method not in ("ModelInfer", "ModelStreamInfer"):
        raise CaptureError(f"found {record.path!r}, expected an inference of the v2 protocol")
    return method


def _messages(body: Body, kind: type[_Message]) -> Iterator[_Message]:
    """Yield the messages that were kept whole; raises CaptureError if there is something else."""
    at = 0
    while at + _PREFIX_BYTES <= len(body.data):
        begin = at + _PREFIX_BYTES
        end = begin + int.from_bytes(body.data[at + 1 : begin], "big")
        if end > len(body.data):
            break
        message = body.data[begin:end]
        if body.data[at] == 1:
            message = _inflate(message, body.encoding)
        try:
            yield kind.FromString(message)
        except DecodeError as error:
            raise CaptureError(f"found no {kind.DESCRIPTOR.name} at byte {at}: {error}") from error
        at = end
    if at == 0 and body.size:
        raise _cut(body)


def _cut(body: Body) -> CaptureError:
    return CaptureError(f"found {len(body.data)} of {body.size} bytes, expected the whole message")


def _inflate(data: bytes, encoding: str) -> bytes:
    if encoding not in _WINDOWS:
        raise CaptureError(f"found a body compressed with {encoding!r}, expected gzip or deflate")
    stream = zlib.decompressobj(_WINDOWS[encoding])
    try:
        inflated = stream.decompress(data, _MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise CaptureError(f"found no {encoding} in a body that says so: {error}") from error
    if not stream.eof:
        raise CaptureError(
            f"found {encoding} that is cut off or larger, expected {_MAX_INFLATED_BYTES} bytes at most"
        )
    return inflated


def _of_request(request: pb.ModelInferRequest) -> Inference:
    # Inputs in shared memory have no entry of their own there.
    raw = iter(request.raw_input_contents)
    decoders = {
        tensor.name: _decoder(tensor, None if _is_shared(tensor) else next(raw, None))
        for tensor in request.inputs
    }
    return Inference(request.model_name, request.model_version, request.id, Tensors(decoders))


def _of_response(response: pb.ModelInferResponse, error: str = "") -> Inference:
    raw = iter(response.raw_output_contents)
    decoders = {tensor.name: _decoder(tensor, next(raw, None)) for tensor in response.outputs}
    return Inference(response.model_name, response.model_version, response.id, Tensors(decoders), error)


_Tensor = pb.ModelInferRequest.InferInputTensor | pb.ModelInferResponse.InferOutputTensor


def _is_shared(tensor: _Tensor) -> bool:
    return "shared_memory_region" in tensor.parameters


def _decoder(tensor: _Tensor, raw: bytes | None) -> Callable[[], Array]:
    if _is_shared(tensor):
        return _in_shared_memory
    if raw is not None:
        return partial(_from_raw, tensor.datatype, tuple(tensor.shape), raw)
    return partial(_from_contents, tensor)


def _in_shared_memory() -> Array:
    raise ValueError("found it in shared memory, expected it in the message")


def _from_raw(datatype: str, shape: tuple[int, ...], raw: bytes) -> Array:
    # Each text has its length in front, so a shape that promises more is wrong before memory is taken for it.
    if datatype == "BYTES" and prod(shape) * 4 > len(raw):
        raise ValueError(f"found {len(raw)} bytes, expected {prod(shape)} texts")
    return to_array(_known(datatype), shape, memoryview(raw))


def _from_contents(tensor: _Tensor) -> Array:
    if tensor.datatype not in _CONTENTS:
        raise ValueError(f"found {_known(tensor.datatype)} without raw contents, expected some")
    values = list(getattr(tensor.contents, _CONTENTS[tensor.datatype]))
    return _from_values(tensor.datatype, tuple(tensor.shape), values)


def _from_values(datatype: str, shape: tuple[int, ...], values: list[Any]) -> Array:
    array = np.empty(len(values), numpy_type(_known(datatype)))
    array[:] = values
    array = array.reshape(shape)
    array.flags.writeable = False
    return array


def _known(datatype: str) -> str:
    try:
        numpy_type(datatype)
    except KeyError:
        raise ValueError(f"found datatype {datatype!r}, expected one such as FP32 or BYTES") from None
    return datatype


def _of_json(record: Record, body: Body, kind: str) -> Inference:
    path = _REST_PATH.fullmatch(record.path)
    if path is None:
        raise CaptureError(f"found {record.path!r}, expected an inference of the v2 protocol")
    if body.truncated:
        raise _cut(body)
    data = _inflate(body.data, body.encoding) if body.encoding else body.data
    # Binary tensors behind the JSON are no text; each of their bytes stands for itself until the JSON has
    # ended.
    text = data.decode("utf-8", "surrogateescape")
    try:
        document, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
        tail = memoryview(data)[len(text[:end].encode("utf-8", "surrogateescape")) :]
        tensors = Tensors(_json_decoders(document[kind], tail))
        own_model, own_version = document.get("model_name", ""), document.get("model_version", "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CaptureError(f"found no JSON inference with {kind!r}: {error!r}") from error
    model = own_model or record.model or unquote(path[1])
    version = own_version or record.version or unquote(path[2] or "")
    return Inference(model, version, str(document.get("id", "")), tensors)


def _json_decoders(tensors: list[dict[str, Any]], tail: memoryview) -> dict[str, Callable[[], Array]]:
    decoders: dict[str, Callable[[], Array]] = {}
    at = 0
    for tensor in tensors:
        datatype, shape = tensor["datatype"], tuple(map(int, tensor["shape"]))
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is not None:
            decoders[tensor["name"]] = partial(_from_raw, datatype, shape, bytes(tail[at : at + size]))
            at += size
        elif "data" in tensor:
            decoders[tensor["name"]] = partial(_from_json, datatype, shape, tensor["data"])
        else:
            decoders[tensor["name"]] = _in_shared_memory
    return decoders


def _from_json(datatype: str, shape: tuple[int, ...], data: Any) -> Array:
    convert: dict[str, Callable[[Any], Any]] = {"BYTES": str.encode, "FP32": float, "FP64": float}
    values = _flat(data)
    if datatype in convert:
        values = map(convert[datatype], values)
    return _from_values(datatype, shape, list(values))


def _flat(data: Any) -> Iterator[Any]:
    if not isinstance(data, list):
        yield data
        return
    for element in data:
        yield from _flat(element)
