"""Arrays by name, as numpy's files and safetensors have them.

An array with one dimension more than its tensor (without the batch) holds a sample in each entry of its first
dimension; one with just as many dimensions is a single sample. All arrays of a file hold as many samples.
Types must be the model's own: nothing is converted, since nobody would see what that does to the values.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.sources.wanted import Wanted, wrong_shape
from infermesh_perf.target.tensors import DTYPES, Array, objects


def rows(wanted: Wanted, arrays: Mapping[str, Array]) -> list[Tensors]:
    """The samples of a file. Raises SetupError for names, types, shapes and counts that do not fit."""
    wanted.check_names(arrays)
    columns = {
        tensor.name: _samples(wanted, tensor.name, arrays[tensor.name])
        for tensor in wanted.tensors
        if tensor.name in arrays
    }
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise SetupError(f"{wanted.path}: found {found}, expected as many samples of each")
    (count,) = set(counts.values())
    if count == 0:
        raise SetupError(f"{wanted.path}: found no samples, expected one at least")
    return [
        wanted.checked({name: column[index] for name, column in columns.items()}, str(index))
        for index in range(count)
    ]


def _samples(wanted: Wanted, name: str, array: Array) -> Array:
    tensor = wanted.tensor(name)
    try:
        typed = _typed(array, tensor.datatype)
    except ValueError as error:
        raise wanted.error(name, error) from error
    if typed.ndim == len(tensor.shape):
        return typed[np.newaxis]
    if typed.ndim != len(tensor.shape) + 1:
        why = f"{wrong_shape(typed, tensor.shape)}, or one dimension more for samples"
        raise wanted.error(name, why)
    return typed


def _typed(array: Array, datatype: str) -> Array:
    if datatype == "BYTES":
        if array.dtype.kind == "S":
            return objects(array.reshape(-1).tolist()).reshape(array.shape)
        if array.dtype.kind == "U":
            return objects([text.encode() for text in array.reshape(-1).tolist()]).reshape(array.shape)
        raise ValueError(f"found {array.dtype}, expected texts for BYTES")
    expected = DTYPES[datatype]
    # numpy has no bfloat16: files have it as its bits, or as two bytes of unknown meaning.
    if datatype == "BF16" and (array.dtype == np.dtype("V2") or array.dtype.name == "bfloat16"):
        return np.ascontiguousarray(array).view(expected)
    if array.dtype.newbyteorder("<") != expected:
        raise ValueError(f"found {array.dtype}, expected {expected.name} for {datatype}")
    return array.astype(expected, copy=False)
