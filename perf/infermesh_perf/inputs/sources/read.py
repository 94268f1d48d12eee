"""Reads a file with data, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.sources import (
    npy,
    npz,
    parquet,
    perf_analyzer_json,
    raw_directory,
    safetensors_file,
)
from infermesh_perf.inputs.sources.wanted import Wanted
from infermesh_perf.target.model import ModelSpec

#: Samples before they are put together to requests: tensors without the batch.
Rows = list[Tensors]

_JSON = ".json"
_READERS: dict[str, Callable[[Wanted], Rows]] = {
    ".npy": npy.read,
    ".npz": npz.read,
    ".safetensors": safetensors_file.read,
    ".parquet": parquet.read,
}


@dataclass(frozen=True)
class Recorded:
    """The streams of a file, one if its samples are not in streams.

    For each stream, `expected` has what the file says about the answers, in the same order, or nothing.
    """

    scripts: list[Rows]
    expected: list[Rows]


def read_inputs(path: Path, model: ModelSpec, shaped: ModelSpec) -> Recorded:
    """What to send; `shaped` is the model with the sizes of `--shape`.

    Raises SetupError, with file, tensor, what was found and what is expected, for anything that does not fit.
    """
    wanted = Wanted(path, "input", model.inputs, shaped.inputs)
    outputs = Wanted(path, "output", model.outputs, shaped.outputs)
    if path.is_dir():
        found = raw_directory.names(wanted)
        ours = found & {tensor.name for tensor in model.outputs} - {tensor.name for tensor in model.inputs}
        expected = [raw_directory.read(outputs, ours)] if ours else []
        return Recorded([[raw_directory.read(wanted, found - ours)]], [expected])
    if path.suffix == _JSON:
        scripts = perf_analyzer_json.read_required(wanted, "data")
        validation = perf_analyzer_json.read(outputs, "validation_data")
        return Recorded(
            scripts, [[] for _ in scripts] if validation is None else _aligned(path, scripts, validation)
        )
    rows = _reader(path)(wanted)
    return Recorded([rows], [[]])


def read_outputs(path: Path, model: ModelSpec) -> list[Rows]:
    """What to expect, by streams; in JSON that is `validation_data` or, if there is none, `data`.

    Raises SetupError as `read_inputs` does.
    """
    wanted = Wanted(path, "output", model.outputs, model.outputs)
    if path.is_dir():
        return [[raw_directory.read(wanted, raw_directory.names(wanted))]]
    if path.suffix == _JSON:
        return perf_analyzer_json.read_required(wanted, "validation_data", "data")
    return [_reader(path)(wanted)]


def _reader(path: Path) -> Callable[[Wanted], Rows]:
    if not path.exists():
        raise SetupError(f"--input-data: {path} does not exist, expected random, zero, a file or a directory")
    if path.suffix not in _READERS:
        known = ", ".join((*_READERS, _JSON))
        raise SetupError(f"{path}: found the suffix {path.suffix!r}, expected a directory or one of {known}")
    return _READERS[path.suffix]


def _aligned(path: Path, scripts: list[Rows], expected: list[Rows]) -> list[Rows]:
    found, wanted = [len(rows) for rows in expected], [len(rows) for rows in scripts]
    if found != wanted:
        raise SetupError(
            f"{path}: validation_data has {found} samples by stream, expected {wanted}, as data has"
        )
    return expected
