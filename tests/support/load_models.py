"""Models as the load-test suite sees them, without a server."""

from infermesh_perf.target.model import ModelSpec, TensorSpec


def model(
    *inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = (), batch: int = 8, sequence: bool = False
) -> ModelSpec:
    """A model of these inputs; its output is `y`, FP32 of any length, unless others are given."""
    return ModelSpec(
        "m",
        inputs or (TensorSpec("x", "FP32", (4,)),),
        outputs or (TensorSpec("y", "FP32", (-1,)),),
        versions=("1",),
        max_batch_size=batch,
        sequence=sequence,
    )
