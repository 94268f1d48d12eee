"""numpy arrays by name (.npz)."""

from __future__ import annotations

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.sources import arrays
from infermesh_perf.inputs.sources.numpy_file import load
from infermesh_perf.inputs.sources.wanted import Wanted


def read(wanted: Wanted) -> list[Tensors]:
    """Its samples; raises SetupError."""
    found = load(wanted.path)
    if not isinstance(found, dict):
        raise SetupError(f"{wanted.path}: holds one array, expected arrays by name", hint="name it .npy")
    return arrays.rows(wanted, found)
