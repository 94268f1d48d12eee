"""What one request carries, before it is encoded for a protocol."""

from __future__ import annotations

from dataclasses import dataclass, field

from infermesh_perf.target.tensors import Array

#: Tensors by name.
Tensors = dict[str, Array]


@dataclass(frozen=True)
class Sample:
    """One request: inputs in the shapes that are sent, and the outputs that its answer must hold, if any."""

    inputs: Tensors
    expected: Tensors = field(default_factory=dict)


#: Requests in their order; sequences play one each.
Script = list[Sample]


@dataclass(frozen=True)
class Inputs:
    """Everything that is sent to one model.

    `batch` is the rows of each request, `source` says where they come from, such as "random, seed 1".
    `recorded` is whether scripts stand in a file, so that their lengths are those of the sequences.
    """

    scripts: list[Script]
    batch: int
    source: str
    recorded: bool = False

    @property
    def samples(self) -> list[Sample]:
        """Those of all scripts, in their order."""
        return [sample for script in self.scripts for sample in script]
