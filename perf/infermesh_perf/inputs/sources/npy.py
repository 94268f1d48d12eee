"""One numpy array (.npy): the only input, or the only output, of a model."""

from __future__ import annotations

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.sources import arrays
from infermesh_perf.inputs.sources.numpy_file import load
from infermesh_perf.inputs.sources.wanted import Wanted


def read(wanted: Wanted) -> list[Tensors]:
    """Its samples; raises SetupError, also if the model needs more than one array."""
    found = load(wanted.path)
    if isinstance(found, dict):
        raise SetupError(f"{wanted.path}: holds arrays by name, expected one array", hint="name it .npz")
    return arrays.rows(wanted, {wanted.only().name: found})
