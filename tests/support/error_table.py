"""The errors that clients match on: a call, its gRPC code, the part of the message that is fixed.

Every case is run against infermesh, and against Triton where Triton can be asked the same: ``triton`` is its
wording where that differs, or None where the case has no counterpart there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from grpc import StatusCode
from infermesh.proto.inference import grpc_service_pb2 as pb

from support.client import SECONDS, Client, floats, request

SAME = "same"

#: What the server under test must serve:
#: ``add``: sum = a + b, FP32 [16], batches of 8; ``text``: y = x, BYTES [2], batches of 8;
#: ``two``: y = x, FP32 [4], version 1 ready and version 2 broken; ``broken``: no version that works.
MODELS = ("add", "text", "two", "broken")

Call = Callable[[Client], Any]


@dataclass(frozen=True)
class Case:
    """One way to be wrong."""

    name: str
    call: Call
    code: StatusCode
    message: str
    triton: str | None = SAME

    @property
    def triton_message(self) -> str:
        """The fixed part of Triton's message."""
        return self.message if self.triton in (SAME, None) else str(self.triton)


def _add() -> pb.ModelInferRequest:
    return request("add", a=floats(1, 16), b=floats(1, 16))


def _text(raw: bytes, count: int = 2) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="text", raw_input_contents=[raw])
    message.inputs.add(name="x", datatype="BYTES", shape=[1, count])
    return message


def _infer(change: Callable[[pb.ModelInferRequest], object]) -> Call:
    def call(client: Client) -> object:
        message = _add()
        change(message)
        return client.infer(message)

    return call


def _explicit(fill: Callable[[Any], object], raw: bool = False) -> Call:
    """``a`` by value; ``b`` as well, unless everything is also given raw."""

    def call(client: Client) -> object:
        message = _add()
        if not raw:
            del message.raw_input_contents[:]
            message.inputs[1].contents.fp32_contents.extend([0.0] * 16)
        fill(message.inputs[0].contents)
        return client.infer(message)

    return call


def _shape(*dims: int, content: bytes | None = None) -> Call:
    """Another shape for ``a``, and other bytes if the case is not about their number."""

    def change(message: pb.ModelInferRequest) -> None:
        message.inputs[0].shape[:] = dims
        if content is not None:
            message.raw_input_contents[0] = content

    return _infer(change)


def _rows(count: int) -> Call:
    """So many rows in both inputs."""

    def change(message: pb.ModelInferRequest) -> None:
        for tensor in message.inputs:
            tensor.shape[:] = [count, 16]
        message.raw_input_contents[:] = [bytes(64 * max(count, 0))] * 2

    return _infer(change)


def _named(index: int, name: str) -> Call:
    return _infer(lambda message: setattr(message.inputs[index], "name", name))


def _raw(index: int, content: bytes) -> Call:
    def change(message: pb.ModelInferRequest) -> None:
        message.raw_input_contents[index] = content

    return _infer(change)


def _drop_input(message: pb.ModelInferRequest) -> None:
    del message.inputs[1], message.raw_input_contents[1]


def _extra_input(message: pb.ModelInferRequest) -> None:
    message.inputs.add(name="c", datatype="FP32", shape=[1, 16])
    message.raw_input_contents.append(bytes(64))


def _twice(message: pb.ModelInferRequest) -> None:
    message.inputs[1].CopyFrom(message.inputs[0])


def _outputs(*names: str) -> Call:
    return _infer(lambda message: message.outputs.extend([_output(name) for name in names]))


def _output(name: str) -> pb.ModelInferRequest.InferRequestedOutputTensor:
    return pb.ModelInferRequest.InferRequestedOutputTensor(name=name)


def _rows_differ(message: pb.ModelInferRequest) -> None:
    message.inputs[1].shape[:] = [2, 16]
    message.raw_input_contents[1] = bytes(128)


def _parameter(message: pb.ModelInferRequest) -> None:
    message.parameters["triton_no_such_thing"].bool_param = True


def _metadata(name: str, version: str = "") -> Call:
    return lambda client: client.inference.ModelMetadata(
        pb.ModelMetadataRequest(name=name, version=version), timeout=SECONDS
    )


def _config(name: str, version: str = "") -> Call:
    return lambda client: client.inference.ModelConfig(
        pb.ModelConfigRequest(name=name, version=version), timeout=SECONDS
    )


def _statistics(name: str, version: str = "") -> Call:
    return lambda client: client.inference.ModelStatistics(
        pb.ModelStatisticsRequest(name=name, version=version), timeout=SECONDS
    )


def _load(client: Client) -> object:
    return client.inference.RepositoryModelLoad(
        pb.RepositoryModelLoadRequest(model_name="add"), timeout=SECONDS
    )


def _unload(client: Client) -> object:
    return client.inference.RepositoryModelUnload(
        pb.RepositoryModelUnloadRequest(model_name="add"), timeout=SECONDS
    )


def _two(version: str) -> Call:
    return lambda client: client.infer(request("two", version=version, x=floats(1, 4)))


INVALID, MISSING, UNAVAILABLE = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.UNAVAILABLE

CASES = [
    # Models and versions.
    Case(
        "unknown model",
        lambda client: client.infer(request("absent", x=floats(1, 4))),
        MISSING,
        "Request for unknown model: 'absent' is not found",
    ),
    Case(
        "unknown model, metadata",
        _metadata("absent"),
        MISSING,
        "Request for unknown model: 'absent' is not found",
    ),
    Case(
        "unknown model, config",
        _config("absent"),
        MISSING,
        "Request for unknown model: 'absent' is not found",
    ),
    Case(
        "no model name",
        lambda client: client.infer(pb.ModelInferRequest()),
        MISSING,
        "Request for unknown model: '' is not found",
    ),
    Case("unknown version", _two("9"), MISSING, "Request for unknown model: 'two' version 9 is not found"),
    Case(
        "unknown version, metadata",
        _metadata("two", "9"),
        MISSING,
        "Request for unknown model: 'two' version 9 is not found",
    ),
    Case(
        "no version that works",
        lambda client: client.infer(request("broken", x=floats(1, 4))),
        MISSING,
        "Request for unknown model: 'broken' has no available versions",
    ),
    # Triton serves all versions that its policy chooses, or none of them.
    Case(
        "version not ready",
        _two("2"),
        UNAVAILABLE,
        "'two' version 2 is not at ready state",
        triton=None,
    ),
    Case(
        "only version not ready",
        lambda client: client.infer(request("broken", version="1", x=floats(1, 4))),
        UNAVAILABLE,
        "'broken' version 1 is not at ready state",
    ),
    Case(
        "version no number",
        _two("abc"),
        INVALID,
        "failed to get model version from specified version string 'abc'",
    ),
    # Triton stops reading at the first letter, and takes zero for a version that is not there.
    Case(
        "version half a number",
        _two("1x"),
        INVALID,
        "failed to get model version from specified version string '1x'",
        triton=None,
    ),
    Case(
        "version zero",
        _two("0"),
        INVALID,
        "failed to get model version from specified version string '0'",
        triton=None,
    ),
    Case(
        "version negative",
        _two("-1"),
        INVALID,
        "failed to get model version from specified version string '-1'",
        triton="version should be an integral value > 0",
    ),
    Case(
        "version beyond 64 bits",
        _two("9" * 30),
        INVALID,
        f"failed to get model version from specified version string '{'9' * 30}'",
    ),
    # Which tensors.
    Case(
        "input missing",
        _infer(_drop_input),
        INVALID,
        "expected 2 inputs but got 1 inputs for model 'add'. "
        "Got input(s) ['a'], but missing required input(s) ['b']",
    ),
    Case(
        "no inputs",
        lambda client: client.infer(pb.ModelInferRequest(model_name="add")),
        INVALID,
        "expected 2 inputs but got 0 inputs for model 'add'. "
        "Got input(s) [], but missing required input(s) ['a','b']",
    ),
    Case(
        "input too many", _infer(_extra_input), INVALID, "expected 2 inputs but got 3 inputs for model 'add'"
    ),
    Case("input unknown", _named(1, "z"), INVALID, "unexpected inference input 'z' for model 'add'"),
    Case("input twice", _infer(_twice), INVALID, "input 'a' already exists in request"),
    Case("output unknown", _outputs("z"), INVALID, "unexpected inference output 'z' for model 'add'"),
    # Triton answers it, with the output once.
    Case(
        "output twice", _outputs("sum", "sum"), INVALID, "output 'sum' already exists in request", triton=None
    ),
    # What tensors look like.
    Case(
        "datatype",
        _infer(lambda message: setattr(message.inputs[0], "datatype", "INT32")),
        INVALID,
        "inference input 'a' data-type is 'INT32', but model 'add' expects 'FP32'",
    ),
    Case(
        "datatype unknown",
        _infer(lambda message: setattr(message.inputs[0], "datatype", "FP99")),
        INVALID,
        "'a'",
    ),
    Case(
        "dimension",
        _shape(1, 8, content=bytes(32)),
        INVALID,
        "unexpected shape for input 'a' for model 'add'. Expected [-1,16], got [1,8]",
    ),
    Case(
        "rank too small",
        _shape(1, content=bytes(4)),
        INVALID,
        "unexpected shape for input 'a' for model 'add'. Expected [-1,16], got [1]",
    ),
    Case(
        "rank too large",
        _shape(1, 16, 1, content=bytes(64)),
        INVALID,
        "unexpected shape for input 'a' for model 'add'. Expected [-1,16], got [1,16,1]",
    ),
    Case(
        "no shape",
        _shape(content=bytes(64)),
        INVALID,
        "unexpected shape for input 'a' for model 'add'",
        triton="input 'a' has no shape",
    ),
    Case(
        "batch too large",
        _rows(9),
        INVALID,
        "inference request batch-size must be <= 8 for 'add'",
    ),
    Case(
        "rows differ between inputs",
        _infer(_rows_differ),
        INVALID,
        "input 'b' batch size does not match other inputs for 'add'",
        triton="batch size does not match other inputs for 'add'",
    ),
    # How much data.
    Case(
        "bytes short",
        _raw(0, bytes(60)),
        INVALID,
        "input byte size mismatch for input 'a' for model 'add'. Expected 64, got 60",
    ),
    Case(
        "bytes long",
        _raw(0, bytes(68)),
        INVALID,
        "input byte size mismatch for input 'a' for model 'add'. Expected 64, got 68",
    ),
    Case(
        "dimension negative",
        _rows(-1),
        INVALID,
        "input byte size mismatch for input 'a' for model 'add'",
        triton="for 'add'",
    ),
    Case("text cut short", lambda client: client.infer(_text(b"\x05\0\0\0ab")), INVALID, "'x'"),
    Case("text of too few", lambda client: client.infer(_text(b"\x01\0\0\0a")), INVALID, "'x'"),
    Case("text of too many", lambda client: client.infer(_text(b"\x01\0\0\0a" * 3)), INVALID, "'x'"),
    Case("text length cut short", lambda client: client.infer(_text(b"\x01\0\0\0a\x01\0")), INVALID, "'x'"),
    # Where data is.
    Case(
        "raw and by value",
        _explicit(lambda contents: contents.fp32_contents.extend([0.0] * 16), raw=True),
        INVALID,
        "contents field must not be specified when using raw_input_contents for 'a'",
    ),
    Case(
        "wrong field of contents",
        _explicit(lambda contents: contents.int_contents.extend([0] * 16)),
        INVALID,
        "unexpected explicit tensor data for input tensor 'a'",
    ),
    Case(
        "fewer raw contents than inputs",
        _infer(lambda message: message.raw_input_contents.pop()),
        INVALID,
        "raw_input_contents",
        triton="unable to find data for input tensor 'b' for model 'add'",
    ),
    # Triton leaves over what is too much.
    Case(
        "more raw contents than inputs",
        _infer(lambda message: message.raw_input_contents.append(b"")),
        INVALID,
        "raw_input_contents",
        triton=None,
    ),
    Case("reserved parameter", _infer(_parameter), INVALID, "keys starting with 'triton_' are reserved"),
    # The server's own state.
    Case("load without control", _load, UNAVAILABLE, "explicit model load / unload is not allowed"),
    Case("unload without control", _unload, UNAVAILABLE, "explicit model load / unload is not allowed"),
    Case(
        "statistics of unknown model",
        _statistics("absent"),
        INVALID,
        "requested model 'absent' is not available",
    ),
    Case(
        "statistics of unknown version",
        _statistics("two", "9"),
        INVALID,
        "requested model version is not available for model 'two'",
    ),
]


#: Accepted by both, so that a server which refuses everything does not pass.
GOOD: dict[str, Call] = {
    "raw": lambda client: client.infer(_add()),
    "by value": _explicit(lambda contents: contents.fp32_contents.extend([0.0] * 16)),
    "text": lambda client: client.infer(_text(b"\x01\0\0\0a\x02\0\0\0bc")),
    "version": _two("1"),
    "highest version that works": _two(""),
    "output": _outputs("sum"),
    "full batch": _rows(8),
    "own parameter": _infer(
        lambda message: message.parameters["mine"].MergeFrom(pb.InferParameter(int64_param=1))
    ),
    "index": lambda client: client.inference.RepositoryIndex(pb.RepositoryIndexRequest(), timeout=SECONDS),
    "all statistics": _statistics(""),
    "array": lambda client: client.infer(request("two", x=np.zeros((1, 4), np.float32))),
}
