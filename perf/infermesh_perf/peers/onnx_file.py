"""Describes a model from its own file, as the benchmark's models are described in code."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from infermesh_perf.errors import SetupError
from infermesh_perf.models import Load, Model

MAX_BATCH_SIZE = 64
FLOAT = onnx.TensorProto.FLOAT


def read_model(path: Path, *, compute_bound: bool) -> Model:
    """A model that every peer can serve, named after its file.

    `compute_bound`: its arithmetic, and not the way of a request, is what limits it; peers then batch it and
    use every core. Raises SetupError if the file is no ONNX model, or not one with one FP32 input and one
    FP32 output whose first dimension is a batch of any size and whose others are fixed.
    """
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except (OSError, DecodeError) as error:
        raise SetupError(f"{path} cannot be read as an ONNX model: {error}") from error
    if any(weight.data_location == onnx.TensorProto.EXTERNAL for weight in graph.initializer):
        raise SetupError(f"{path} keeps weights in other files, expected one file", "onnx.save joins them")
    constants = {weight.name for weight in graph.initializer}
    # Files of old versions list their weights among the inputs.
    inputs = [each for each in graph.input if each.name not in constants]
    input_name, input_shape = _only(path, "input", inputs)
    output_name, output_shape = _only(path, "output", list(graph.output))
    return Model(
        name=path.stem,
        build=partial(onnx.load, str(path)),
        input_name=input_name,
        input_shape=input_shape,
        output_name=output_name,
        output_shape=output_shape,
        max_batch_size=MAX_BATCH_SIZE,
        loads=(Load(rows=1, streams=MAX_BATCH_SIZE),) if compute_bound else (),
    )


def _only(path: Path, what: str, tensors: list[Any]) -> tuple[str, tuple[int, ...]]:
    """Name and shape without the batch of the only input or output."""
    if len(tensors) != 1:
        names = ", ".join(each.name for each in tensors) or "none"
        raise SetupError(f"{path}: found the {what}s {names}, expected one; not every peer serves more")
    (tensor,) = tensors
    kind = tensor.type.tensor_type
    dims = [each.dim_value if each.HasField("dim_value") else -1 for each in kind.shape.dim]
    if kind.elem_type != FLOAT:
        found = onnx.TensorProto.DataType.Name(kind.elem_type)
        raise SetupError(f"{path}: {what} {tensor.name!r} is {found}, expected FLOAT")
    if not dims or dims[0] != -1 or any(size < 1 for size in dims[1:]):
        hint = "export the model with a dynamic batch dimension alone"
        raise SetupError(f"{path}: {what} {tensor.name!r} has the shape {dims}, expected [-1, sizes]", hint)
    return tensor.name, tuple(dims[1:])
