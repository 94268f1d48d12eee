"""Writes ensembles in Triton's form of config.pbtxt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from support.repository import Repository

Tensors = Mapping[str, tuple[str, Sequence[int]]]


@dataclass(frozen=True)
class Step:
    """One model and what its tensors are called in the ensemble."""

    model: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    version: int = -1

    def __str__(self) -> str:
        maps = (
            f'{kind} {{ key: "{name}" value: "{tensor}" }}'
            for kind, tensors in (("input_map", self.inputs), ("output_map", self.outputs))
            for name, tensor in tensors.items()
        )
        return f'step {{ model_name: "{self.model}" model_version: {self.version} {" ".join(maps)} }}'


def ensemble_config(
    inputs: Tensors, outputs: Tensors, *steps: Step, max_batch_size: int = 8, more: str = ""
) -> str:
    """The text of a configuration; one line per field, as the errors name lines."""
    tensors = (
        f'{kind} {{ name: "{name}" data_type: TYPE_{datatype} dims: {list(dims)} }}'
        for kind, ports in (("input", inputs), ("output", outputs))
        for name, (datatype, dims) in ports.items()
    )
    lines = ['platform: "ensemble"', f"max_batch_size: {max_batch_size}", *tensors, more]
    return "\n".join([*lines, "ensemble_scheduling {", *map(str, steps), "}", ""])


def put_ensemble(repository: Repository, name: str, config: str, version: int = 1) -> None:
    """Put an ensemble there; its version's directory is empty."""
    (repository.root / name / str(version)).mkdir(parents=True, exist_ok=True)
    repository.config(name, config)


def chain(*models: str, datatype: str = "FP32", dims: Sequence[int] = (4,), max_batch_size: int = 8) -> str:
    """x through one model after another, each of which makes y of x."""
    names = ["x", *(f"h{index}" for index in range(1, len(models))), "y"]
    steps = [Step(model, {"x": names[at]}, {"y": names[at + 1]}) for at, model in enumerate(models)]
    return ensemble_config(
        {"x": (datatype, dims)}, {"y": (datatype, dims)}, *steps, max_batch_size=max_batch_size
    )
