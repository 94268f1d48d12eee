"""Rows without a file: random ones, and zero.

Values stay where every model can take them: floats in [0, 1), integers in 0..127, which are indices of any
vocabulary, texts of letters and digits.
"""

from __future__ import annotations

import string
from math import prod

import numpy as np

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.options import STRING_LENGTH, DataOptions
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.shapes import check_complete
from infermesh_perf.target.model import ModelSpec, TensorSpec
from infermesh_perf.target.tensors import DTYPES, Array, objects, to_bfloat16

_HIGHEST = 127
_LETTERS = np.frombuffer((string.ascii_letters + string.digits).encode(), np.uint8)
#: Fractions with so many steps have no need to be rounded, which could make 1 of them.
_STEPS = {"FP16": 1 << 11, "BF16": 1 << 8}


def zero(model: ModelSpec, options: DataOptions) -> Tensors:
    """One row of zeros; texts are `--string-data`, or zeros as text.

    Raises SetupError for a dynamic dimension without a size.
    """
    return {tensor.name: _zero(model, tensor, options) for tensor in model.inputs}


def random(model: ModelSpec, options: DataOptions, count: int) -> list[Tensors]:
    """So many rows, which follow from the seed alone. Raises SetupError as `zero` does."""
    generator = np.random.default_rng(options.seed)
    return [
        {tensor.name: _random(model, tensor, options, generator) for tensor in model.inputs}
        for _ in range(count)
    ]


def row_bytes(model: ModelSpec, options: DataOptions) -> int:
    """How much one row takes. Raises SetupError as `zero` does."""
    return sum(_tensor_bytes(model, tensor, options) for tensor in model.inputs)


def _tensor_bytes(model: ModelSpec, tensor: TensorSpec, options: DataOptions) -> int:
    _check(model, tensor)
    size = DTYPES[tensor.datatype].itemsize
    if tensor.datatype == "BYTES":
        size = 4 + (_length(options) if options.string_data is None else len(options.string_data.encode()))
    return prod(tensor.shape) * size


def _check(model: ModelSpec, tensor: TensorSpec) -> None:
    check_complete(model, tensor)
    if not tensor.batched:
        raise SetupError(
            f"input {tensor.name!r} of model {model.name!r} is a shape, which cannot be made up",
            hint="--input-data with a file",
        )


def _length(options: DataOptions) -> int:
    return STRING_LENGTH if options.string_length is None else options.string_length


def _zero(model: ModelSpec, tensor: TensorSpec, options: DataOptions) -> Array:
    _check(model, tensor)
    if tensor.datatype != "BYTES":
        return np.zeros(tensor.shape, DTYPES[tensor.datatype])
    text = "0" * _length(options) if options.string_data is None else options.string_data
    return objects([text.encode()] * prod(tensor.shape)).reshape(tensor.shape)


def _random(
    model: ModelSpec, tensor: TensorSpec, options: DataOptions, generator: np.random.Generator
) -> Array:
    _check(model, tensor)
    shape, dtype = tensor.shape, DTYPES[tensor.datatype]
    match tensor.datatype:
        case "BYTES":
            return _texts(prod(shape), options, generator).reshape(shape)
        case "BOOL":
            return generator.integers(0, 2, shape, np.uint8).astype(dtype)
        case "FP32":
            return generator.random(shape, np.float32)
        case "FP64":
            return generator.random(shape)
        case "FP16" | "BF16":
            steps = _STEPS[tensor.datatype]
            fractions = (generator.integers(0, steps, shape) / steps).astype(np.float32)
            return fractions.astype(dtype) if tensor.datatype == "FP16" else to_bfloat16(fractions)
    return generator.integers(0, _HIGHEST, shape, dtype, endpoint=True)


def _texts(count: int, options: DataOptions, generator: np.random.Generator) -> Array:
    if options.string_data is not None:
        return objects([options.string_data.encode()] * count)
    length = _length(options)
    letters = generator.choice(_LETTERS, (count, length))
    return objects([row.tobytes() for row in letters])
