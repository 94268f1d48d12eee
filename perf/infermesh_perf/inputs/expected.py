"""Outputs as they should be, for the load generator to compare answers with."""

from __future__ import annotations

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.inputs.sample import Sample
from infermesh_perf.target.model import ModelSpec
from infermesh_perf.target.tensors import to_raw


def expected(model: ModelSpec, sample: Sample) -> list[load_pb2.ExpectedTensor]:
    """What the answer to a sample must hold, in the order of the model's outputs."""
    return [
        load_pb2.ExpectedTensor(
            name=spec.name,
            datatype=spec.datatype,
            shape=sample.expected[spec.name].shape,
            data=to_raw(sample.expected[spec.name]),
        )
        for spec in model.outputs
        if spec.name in sample.expected
    ]
