"""A directory with a file for each tensor, named like it, as perf_analyzer takes: one sample.

Files hold raw bytes, row-major and little-endian, without a batch. Those of BYTES are text, an element a
line. Files named like outputs hold what to expect.
"""

from __future__ import annotations

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.shapes import of_count
from infermesh_perf.inputs.sources.wanted import Wanted
from infermesh_perf.target.tensors import Array, count_in_raw, from_raw, objects


def names(wanted: Wanted) -> set[str]:
    """The files that are there; raises SetupError if the directory cannot be read."""
    try:
        return {file.name for file in wanted.path.iterdir()}
    except OSError as error:
        raise SetupError(f"{wanted.path}: cannot be read: {error.strerror}") from error


def read(wanted: Wanted, found: set[str]) -> Tensors:
    """The sample of the files with these names. Raises SetupError for what the model does not take."""
    wanted.check_names(found)
    row: Tensors = {}
    for name in sorted(found):
        try:
            row[name] = _tensor(wanted, name, (wanted.path / name).read_bytes())
        except (OSError, ValueError) as error:
            raise wanted.error(name, error) from error
    return wanted.checked(row, "")


def _tensor(wanted: Wanted, name: str, content: bytes) -> Array:
    tensor = wanted.filled_tensor(name)
    if tensor.datatype == "BYTES":
        lines = objects(content.splitlines())
        return lines.reshape(of_count(tensor, lines.size))
    return from_raw(tensor.datatype, of_count(tensor, count_in_raw(tensor.datatype, content)), content)
