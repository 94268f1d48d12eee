"""Puts tensors into memory that the server reads itself: `--shared-memory`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.regions import cuda_region, system_region
from infermesh_perf.inputs.request import Placement, Region
from infermesh_perf.inputs.sample import Sample, Script
from infermesh_perf.target.api import Api
from infermesh_perf.target.model import ModelSpec
from infermesh_perf.target.tensors import to_raw

Kind = Literal["none", "system", "cuda"]

# What processors and their vector instructions like tensors to begin at.
_ALIGNMENT = 64


@contextmanager
def shared(
    api: Api,
    kind: Kind,
    model: ModelSpec,
    scripts: list[Script],
    output_byte_size: int = 0,
    outputs: tuple[str, ...] = (),
) -> Iterator[list[list[Placement]]]:
    """Places for the tensors of all samples, in the same order; empty ones for `none`.

    With an `output_byte_size` each sample has that much room for each output: those in `outputs`, or all of
    the model's. The region is registered for as long as the block lasts. Raises SetupError for a size without
    shared memory, and where memory cannot be had or the server does not take it.
    """
    if output_byte_size and kind == "none":
        raise SetupError(
            "--output-shared-memory-size is without effect, expected --shared-memory system or cuda"
        )
    if output_byte_size < 0:
        raise SetupError(f"--output-shared-memory-size: found {output_byte_size}, expected at least 0")
    if kind == "none":
        yield [[Placement() for _ in script] for script in scripts]
        return
    contents = bytearray()
    # Of this process and this run: several may measure one server at once.
    name = f"infermesh-perf-{os.getpid()}-{secrets.token_hex(4)}"
    names = (outputs or tuple(tensor.name for tensor in model.outputs)) if output_byte_size else ()
    placements = [
        [_place(name, contents, model, sample, names, output_byte_size) for sample in script]
        for script in scripts
    ]
    region = system_region if kind == "system" else cuda_region
    with region(api, name, contents or bytearray(1)):
        yield placements


def _place(
    region: str, contents: bytearray, model: ModelSpec, sample: Sample, outputs: tuple[str, ...], room: int
) -> Placement:
    inputs = {
        tensor.name: _append(region, contents, to_raw(sample.inputs[tensor.name]))
        for tensor in model.inputs
        if tensor.name in sample.inputs
    }
    return Placement(inputs, {name: _append(region, contents, bytes(room)) for name in outputs})


def _append(region: str, contents: bytearray, raw: bytes) -> Region:
    contents += bytes(-len(contents) % _ALIGNMENT)
    at = len(contents)
    contents += raw
    return Region(region, at, len(raw))
