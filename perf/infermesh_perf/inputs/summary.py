"""What a result says about a workload."""

from __future__ import annotations

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.inputs.sample import Inputs
from infermesh_perf.results.document import TensorSummary, WorkloadSummary
from infermesh_perf.target.model import ModelSpec


def summarize(model: ModelSpec, inputs: Inputs, workload: load_pb2.Workload) -> WorkloadSummary:
    """The summary of a workload that was built from `inputs`.

    Shapes are those of the first sample, bytes those of the mean request.
    """
    first = inputs.scripts[0][0]
    bodies = [len(payload.body) for script in workload.scripts for payload in script.payloads]
    return WorkloadSummary(
        name=workload.name,
        model=model.name,
        version=model.version or max(model.versions, key=_number, default=""),
        weight=workload.weight,
        batch=inputs.batch,
        inputs=[
            TensorSummary(name=spec.name, datatype=spec.datatype, shape=list(first.inputs[spec.name].shape))
            for spec in model.inputs
            if spec.name in first.inputs
        ],
        source=inputs.source,
        payloads=len(bodies),
        payload_bytes=round(sum(bodies) / len(bodies)),
    )


def _number(version: str) -> int:
    """Servers choose the highest, unless their policy says otherwise."""
    return int(version) if version.isdecimal() else 0
