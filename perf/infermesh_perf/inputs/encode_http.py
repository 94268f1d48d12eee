"""Samples as HTTP bodies: JSON, and tensors in binary behind it."""

from __future__ import annotations

import json
from typing import Any

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.request import Placement, Region, RequestOptions, check_size, requested_outputs
from infermesh_perf.inputs.sample import Sample
from infermesh_perf.target.model import ModelSpec, TensorSpec
from infermesh_perf.target.tensors import Array, to_raw

# The first field of the body: what differs from request to request is put right behind it.
_PARAMETERS = b'{"parameters":{'


def encode(
    model: ModelSpec, sample: Sample, options: RequestOptions, placement: Placement
) -> load_pb2.Payload:
    """A body; answers are asked for in the same form as the inputs.

    `insert_at` is right behind the `{` of `parameters`: what is put in there needs a comma behind it unless
    a `}` follows. Raises SetupError for tensors that JSON has no form for, and a body that is too large.
    """
    tail: list[bytes] = []
    inputs = []
    for spec in model.inputs:
        if spec.name not in sample.inputs:
            continue
        array = sample.inputs[spec.name]
        tensor: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": list(array.shape)}
        if spec.name in placement.inputs:
            tensor["parameters"] = _place(placement.inputs[spec.name])
        elif options.binary:
            tail.append(to_raw(array))
            tensor["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            tensor["data"] = _values(spec, array)
        inputs.append(tensor)
    header: dict[str, Any] = {"inputs": inputs}
    if outputs := requested_outputs(options, placement):
        header["outputs"] = [_output(name, options, placement) for name in outputs]
    parameters = b'"binary_data_output":true}' if options.binary and not outputs else b"}"
    text = _PARAMETERS + parameters + b"," + _json(model, header)[1:]
    body = b"".join((text, *tail))
    check_size(model, len(body))
    return load_pb2.Payload(body=body, json_length=len(text) if tail else 0, insert_at=len(_PARAMETERS))


def _output(name: str, options: RequestOptions, placement: Placement) -> dict[str, Any]:
    if name in placement.outputs:
        return {"name": name, "parameters": _place(placement.outputs[name])}
    return {"name": name, "parameters": {"binary_data": True}} if options.binary else {"name": name}


def _place(region: Region) -> dict[str, Any]:
    place: dict[str, Any] = {
        "shared_memory_region": region.name,
        "shared_memory_byte_size": region.byte_size,
    }
    return {**place, "shared_memory_offset": region.offset} if region.offset else place


def _values(spec: TensorSpec, array: Array) -> list[Any]:
    if spec.datatype in ("FP16", "BF16"):
        raise SetupError(
            f"input {spec.name!r} is {spec.datatype}, which JSON has no form for",
            hint="leave out --json: tensors then travel in binary",
        )
    values: list[Any] = array.reshape(-1).tolist()
    if spec.datatype != "BYTES":
        return values
    try:
        return [element.decode() for element in values]
    except UnicodeDecodeError as error:
        raise SetupError(
            f"input {spec.name!r} has bytes that are not UTF-8 text, which JSON has no form for",
            hint="leave out --json: tensors then travel in binary",
        ) from error


def _json(model: ModelSpec, header: dict[str, Any]) -> bytes:
    try:
        return json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:
        raise SetupError(
            f"the inputs of model {model.name!r} have values that are no numbers, which JSON has no form for",
            hint="leave out --json: tensors then travel in binary",
        ) from error
