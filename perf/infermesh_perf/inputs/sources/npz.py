"""numpy arrays by name (.npz)."""

from __future__ import annotations

import zipfile
import zlib

import numpy as np

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.sources import arrays
from infermesh_perf.inputs.sources.wanted import Wanted


def read(wanted: Wanted) -> list[Tensors]:
    """Its samples; raises SetupError."""
    try:
        with np.load(wanted.path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise SetupError(
                    f"{wanted.path}: holds one array, expected arrays by name", hint="name it .npy"
                )
            found = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SetupError(f"{wanted.path}: cannot be read as numpy arrays: {error}") from error
    return arrays.rows(wanted, found)
