"""One numpy array (.npy): the only input, or the only output, of a model."""

from __future__ import annotations

import numpy as np

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.sources import arrays
from infermesh_perf.inputs.sources.wanted import Wanted


def read(wanted: Wanted) -> list[Tensors]:
    """Its samples; raises SetupError, also if the model needs more than one array."""
    tensor = wanted.only()
    try:
        # Objects would be unpickled, which runs whatever the file says. BYTES are arrays of texts.
        array = np.load(wanted.path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SetupError(f"{wanted.path}: cannot be read as a numpy array: {error}") from error
    if not isinstance(array, np.ndarray):
        raise SetupError(f"{wanted.path}: holds several arrays, expected one", hint="name it .npz")
    return arrays.rows(wanted, {tensor.name: array})
