"""Request bodies made before the run, so that the load generator only sends bytes."""

from __future__ import annotations

import struct

import numpy as np
from infermesh.proto.inference import grpc_service_pb2 as pb
from numpy.typing import NDArray

from infermesh_perf.models import Model

# gRPC's message prefix: a compression flag and the length, big-endian.
PREFIX = struct.Struct(">BI")


def infer_request(model: Model, values: NDArray[np.float32]) -> bytes:
    """A serialized ModelInferRequest that carries `values` as raw little-endian contents."""
    request = pb.ModelInferRequest(model_name=model.name)
    tensor = request.inputs.add()
    tensor.name = model.input_name
    tensor.datatype = "FP32"
    tensor.shape.extend(values.shape)
    request.outputs.add().name = model.output_name
    request.raw_input_contents.append(np.ascontiguousarray(values, dtype="<f4").tobytes())
    return request.SerializeToString()


def frame(message: bytes) -> bytes:
    """`message` as one uncompressed gRPC message on the wire: 5 bytes of prefix, then the bytes."""
    return PREFIX.pack(0, len(message)) + message


def decode_answer(message: bytes, model: Model) -> NDArray[np.float32]:
    """The output tensor of a serialized ModelInferResponse, from raw or typed contents.

    Raises ValueError when the answer lacks the model's output or its size does not fit its shape.
    """
    response = pb.ModelInferResponse.FromString(message)
    names = [output.name for output in response.outputs]
    if model.output_name not in names:
        raise ValueError(f"the answer has outputs {names}, not {model.output_name!r}")
    position = names.index(model.output_name)
    output = response.outputs[position]
    if response.raw_output_contents:
        flat = np.frombuffer(response.raw_output_contents[position], dtype="<f4")
    else:
        flat = np.asarray(output.contents.fp32_contents, dtype=np.float32)
    return flat.reshape(tuple(output.shape))
