"""What peers have in common that serve a repository in Triton's layout."""

from __future__ import annotations

import os
import shutil
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

from infermesh_perf.models import Model
from infermesh_perf.peers.base import Peer, fresh, place
from infermesh_perf.processes import Command


class RepositoryPeer(Peer):
    """A subclass says which backend runs its models and what serves the repository."""

    #: As config.pbtxt names it.
    backend: str
    #: What runs the model, beside the model, where the backend is Python's.
    model_file: Path | None = None

    def __init__(self, home: Path) -> None:
        """`home` is where it keeps what it is started with."""
        self._home = home

    def settings(self, model: Model) -> dict[str, int]:
        """One instance for a small model: a further one splits the batches, and is a process in Triton.

        A compute-bound model gets one on each core: on two cores, Triton was up to 8 % faster with that than
        with one instance of two threads.
        """
        cores = len(os.sched_getaffinity(0))
        return {"instances": cores if model.compute_bound else 1, "intra_op_threads": 1}

    def command(self, model: Model, onnx: Path) -> Command:
        """A server with one model."""
        return self.serving(self.repository(model.name, {model: onnx}), model.name)

    def repository(self, name: str, models: Mapping[Model, Path]) -> Path:
        """A repository made anew, with the models from their files."""
        repository = fresh(self._home / "repository" / name)
        for model, onnx in models.items():
            folder = repository / model.name
            place(onnx, folder / "1" / "model.onnx")
            if self.model_file is not None:
                shutil.copyfile(self.model_file, folder / "1" / "model.py")
            config = triton_config(model, self.backend, **self.settings(model))
            (folder / "config.pbtxt").write_text(config)
        return repository

    @abstractmethod
    def serving(self, repository: Path, model: str) -> Command:
        """Serves a repository; it is up when `model` is ready."""


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
