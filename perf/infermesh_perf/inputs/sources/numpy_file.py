"""Opens what numpy has saved, of either kind: its content says which, not its name."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from infermesh_perf.errors import SetupError
from infermesh_perf.target.tensors import Array


def load(path: Path) -> Array | dict[str, Array]:
    """One array, or several by name. Raises SetupError for anything else."""
    try:
        # numpy leaves a file open that it cannot read, if it has opened it itself.
        with path.open("rb") as file:
            # Objects would be unpickled, which runs whatever the file says. BYTES are arrays of texts.
            found = np.load(file, allow_pickle=False)
            return {name: found[name] for name in found.files} if hasattr(found, "files") else found
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SetupError(f"{path}: cannot be read as what numpy saves: {error}") from error
