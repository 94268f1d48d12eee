"""What every server under test can do."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from infermesh_perf.models import Model
from infermesh_perf.processes import Command


class Peer(ABC):
    """A model server that speaks the v2 protocol: how it is installed, given a model, and started."""

    name: str

    @abstractmethod
    def install(self) -> None:
        """Brings everything that `command` needs; returns at once when it is there. Raises SetupError."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """What runs, by package name."""

    @abstractmethod
    def settings(self, model: Model) -> dict[str, int]:
        """Thread and process counts that this peer serves `model` with, for the report."""

    @abstractmethod
    def command(self, model: Model, onnx: Path) -> Command:
        """Writes a repository that holds only `model`, from the file `onnx`, and says what serves it."""


def fresh(directory: Path) -> Path:
    """`directory`, made empty."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def place(source: Path, target: Path) -> None:
    """Puts a model file into a repository, by a hard link where the file system allows it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def triton_config(model: Model, backend: str, instances: int, intra_op_threads: int) -> str:
    """A config.pbtxt with dynamic batching that gathers what waits and holds nothing back for more."""
    return f"""name: "{model.name}"
backend: "{backend}"
max_batch_size: {model.max_batch_size}
input [ {{ name: "{model.input_name}", data_type: TYPE_FP32, dims: {list(model.input_shape)} }} ]
output [ {{ name: "{model.output_name}", data_type: TYPE_FP32, dims: {list(model.output_shape)} }} ]
dynamic_batching {{ }}
instance_group [ {{ count: {instances}, kind: KIND_CPU }} ]
parameters {{ key: "intra_op_thread_count" value: {{ string_value: "{intra_op_threads}" }} }}
"""
