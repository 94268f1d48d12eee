"""From a model and options to the samples that are sent."""

from __future__ import annotations

from pathlib import Path

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs import generate, shapes
from infermesh_perf.inputs.batches import batch_size, script
from infermesh_perf.inputs.options import PAYLOAD_BYTES, PAYLOADS, RANDOM, ZERO, DataOptions
from infermesh_perf.inputs.sample import Inputs
from infermesh_perf.inputs.sources.read import Rows, read_inputs, read_outputs
from infermesh_perf.target.model import ModelSpec


def prepare(model: ModelSpec, options: DataOptions) -> Inputs:
    """Everything to send to a model.

    Raises SetupError for options that the model or each other do not fit, and files that are wrong.
    """
    if not model.inputs:
        raise SetupError(f"model {model.name!r} has no inputs in its metadata, expected one at least")
    batch = batch_size(model, options.batch)
    shaped = shapes.apply(model, options.shapes)
    _check(options)
    if options.path is not None:
        return _recorded(model, shaped, options, options.path, batch)
    if options.data == ZERO:
        rows, source = [generate.zero(shaped, options)], ZERO
    else:
        count = _payloads(shaped, options, batch)
        rows, source = generate.random(shaped, options, count * batch), f"{RANDOM}, seed {options.seed}"
    expected = _validation(shaped, options.validate, [rows])
    return Inputs([script(shaped, rows, expected[0], batch)], batch, source)


def _recorded(model: ModelSpec, shaped: ModelSpec, options: DataOptions, path: Path, batch: int) -> Inputs:
    found = read_inputs(path, model, shaped)
    expected = found.expected
    if options.validate is not None:
        if any(expected):
            raise SetupError(f"--validate: {path} has expected outputs itself, expected one place for them")
        expected = _validation(model, options.validate, found.scripts)
    scripts = [
        script(model, rows, wanted, batch) for rows, wanted in zip(found.scripts, expected, strict=True)
    ]
    return Inputs(scripts, batch, str(path), recorded=True)


def _validation(model: ModelSpec, path: Path | None, scripts: list[Rows]) -> list[Rows]:
    if path is None:
        return [[] for _ in scripts]
    expected = read_outputs(path, model)
    lengths, wanted = [len(rows) for rows in expected], [len(rows) for rows in scripts]
    if lengths != wanted:
        raise SetupError(
            f"--validate {path}: found {_counts(lengths)}, expected {_counts(wanted)}, as are sent"
        )
    return expected


def _counts(lengths: list[int]) -> str:
    return f"{' + '.join(map(str, lengths))} samples"


def _payloads(model: ModelSpec, options: DataOptions, batch: int) -> int:
    if options.payloads is not None:
        return options.payloads
    size = generate.row_bytes(model, options) * batch
    return max(1, min(PAYLOADS, PAYLOAD_BYTES // max(size, 1)))


def _check(options: DataOptions) -> None:
    """No option is without effect."""
    if options.payloads is not None and options.payloads < 1:
        raise SetupError(f"the number of different payloads is {options.payloads}, expected at least 1")
    if options.string_length is not None and options.string_length < 0:
        raise SetupError(f"--string-length: found {options.string_length}, expected at least 0")
    if options.string_length is not None and options.string_data is not None:
        raise SetupError("--string-data has a length of its own, so --string-length is without effect")
    given = {
        "--string-length": options.string_length,
        "--string-data": options.string_data,
        "a number of different payloads": options.payloads,
    }
    generated = [name for name, value in given.items() if value is not None]
    if options.path is not None and generated:
        raise SetupError(f"{generated[0]} is without effect on what comes from --input-data {options.path}")
    if options.data == ZERO and options.payloads is not None:
        raise SetupError("a number of different payloads is without effect on zeros, of which there is one")
    if options.data == RANDOM and options.validate is not None:
        raise SetupError(
            "--validate cannot know the answers to random inputs, expected --input-data with a file"
        )
