"""What is measured on a GPU: a model, a configuration, a load."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from infermesh_perf.models import MODELS, Load, Model


class Carried(StrEnum):
    """How tensors reach the server and come back."""

    GRPC = "gRPC"
    SHARED_MEMORY = "shared memory"


@dataclass(frozen=True)
class Case:
    """`name` is the served model's; the load's streams are spread over `connections`."""

    name: str
    model: Model
    config: str
    load: Load
    connections: int
    carried: Carried


def config(rows: int, instances: int, *, graphs: bool) -> str:
    """Batches of up to `rows` on so many instances."""
    lines = [
        f"max_batch_size: {rows}",
        "dynamic_batching { }",
        f"instance_group {{ kind: KIND_GPU count: {instances} }}",
    ]
    if graphs:
        lines.append("optimization { cuda { graphs: true } }")
    return "\n".join(lines) + "\n"


def _case(
    model: Model, rows: int, load: Load, carried: Carried, instances: int, *, graphs: bool = False
) -> Case:
    words = [f"{instances}", *(["graphs"] if graphs else []), carried.replace(" ", "-").lower()]
    return Case(
        "-".join([model.name, *words]),
        model,
        config(rows, instances, graphs=graphs),
        load,
        connections=8,
        carried=carried,
    )


#: Sizes that ONNX Runtime alone is tried with.
ALONE_ROWS = {"mlp": (64, 128, 256), "resnet50": (8, 32, 64)}

_MLP, _RESNET = MODELS["mlp"], MODELS["resnet50"]
_IMAGES, _ROWS = Load(rows=8, streams=64), Load(rows=64, streams=64)

CASES = (
    _case(_RESNET, 32, _IMAGES, Carried.GRPC, 1),
    _case(_RESNET, 32, _IMAGES, Carried.GRPC, 2),
    _case(_RESNET, 32, _IMAGES, Carried.GRPC, 4),
    _case(_RESNET, 32, _IMAGES, Carried.GRPC, 4, graphs=True),
    _case(_RESNET, 32, _IMAGES, Carried.SHARED_MEMORY, 4),
    _case(_MLP, 256, _ROWS, Carried.GRPC, 4),
    _case(_MLP, 256, _ROWS, Carried.GRPC, 4, graphs=True),
    _case(_MLP, 256, _ROWS, Carried.SHARED_MEMORY, 4, graphs=True),
)
