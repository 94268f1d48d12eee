"""What is measured on a GPU: a model, a configuration, a load."""

from __future__ import annotations

from dataclasses import dataclass

from infermesh_perf.models import MODELS, Load, Model


@dataclass(frozen=True)
class Case:
    """`name` is the served model's; `alone_rows` are the batches that ONNX Runtime alone is tried with."""

    name: str
    model: Model
    config: str
    load: Load
    alone_rows: tuple[int, ...]


def _config(rows: int, instances: int, *, graphs: bool) -> str:
    lines = [
        f"max_batch_size: {rows}",
        "dynamic_batching { }",
        f"instance_group {{ kind: KIND_GPU count: {instances} }}",
    ]
    if graphs:
        lines.append("optimization { cuda { graphs: true } }")
    return "\n".join(lines) + "\n"


def _cases(model: Model, rows: int, load: Load) -> list[Case]:
    alone = tuple(size for size in (1, 8, 16, 32, 64, 128, 256) if size <= rows)
    return [
        Case(f"{model.name}-{instances}{'-graphs' if graphs else ''}", model, config, load, alone)
        for instances, graphs in ((1, False), (2, False), (2, True))
        for config in (_config(rows, instances, graphs=graphs),)
    ]


CASES = (
    *_cases(MODELS["mlp"], 256, Load(rows=16, streams=64)),
    *_cases(MODELS["resnet50"], 64, Load(rows=8, streams=32)),
)
