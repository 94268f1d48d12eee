"""Chains of models: as an ensemble of several members, and the same arithmetic in one model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial, reduce

import onnx
from onnx import compose

from infermesh_perf.models import Model, build_perceptron

MEMBERS = 3
MAX_BATCH = 64


@dataclass(frozen=True)
class Chain:
    """Perceptrons behind each other, each with weights of its own; the last width is the first."""

    name: str
    widths: tuple[int, ...]

    @cached_property
    def members(self) -> list[Model]:
        """What the ensemble calls, in this order."""
        places = range(1, MEMBERS + 1)
        return [self._model(f"{self.name}-{place}", partial(self._member, place)) for place in places]

    @property
    def in_one(self) -> Model:
        """The members as one graph, which a server runs as one model."""
        return self._model(f"{self.name}-in-one", self._merged)

    @property
    def ensemble(self) -> Model:
        """What a client sees of the ensemble, and by its graph what it has to answer."""
        return self._model(f"{self.name}-ensemble", self._merged)

    @property
    def config(self) -> str:
        """The ensemble's config.pbtxt."""
        tensors = ["x", *(f"h{place}" for place in range(1, MEMBERS)), "y"]
        steps = (
            f'step {{ model_name: "{member.name}" model_version: -1 '
            f'input_map {{ key: "x" value: "{tensors[place]}" }} '
            f'output_map {{ key: "y" value: "{tensors[place + 1]}" }} }}'
            for place, member in enumerate(self.members)
        )
        return "\n".join(
            [
                f'name: "{self.ensemble.name}"',
                'platform: "ensemble"',
                f"max_batch_size: {MAX_BATCH}",
                f'input {{ name: "x" data_type: TYPE_FP32 dims: {self.widths[0]} }}',
                f'output {{ name: "y" data_type: TYPE_FP32 dims: {self.widths[-1]} }}',
                "ensemble_scheduling {",
                *steps,
                "}\n",
            ]
        )

    def _model(self, name: str, build: Callable[[], onnx.ModelProto]) -> Model:
        return Model(
            name=name,
            build=build,
            input_name="x",
            input_shape=self.widths[:1],
            output_name="y",
            output_shape=self.widths[-1:],
            max_batch_size=MAX_BATCH,
        )

    def _member(self, place: int) -> onnx.ModelProto:
        # A softmax would leave the next member hardly anything to tell apart.
        return build_perceptron(self.name, self.widths, seed=place, last_activation="Tanh")

    def _merged(self) -> onnx.ModelProto:
        parts = [
            compose.add_prefix(
                self._member(place),
                f"{place}/",
                rename_inputs=place > 1,
                rename_outputs=place < MEMBERS,
            )
            for place in range(1, MEMBERS + 1)
        ]
        merged = reduce(_behind, parts)
        # Each part has brought the same operators.
        del merged.opset_import[1:]
        onnx.checker.check_model(merged, full_check=True)
        return merged


def _behind(first: onnx.ModelProto, second: onnx.ModelProto) -> onnx.ModelProto:
    (output,), (takes,) = first.graph.output, second.graph.input
    return compose.merge_models(first, second, io_map=[(output.name, takes.name)])


#: A member takes some 5 us on a core of 2020 or later, some 50, and so long that it runs on its own thread.
CHAINS: dict[str, Chain] = {
    chain.name: chain
    for chain in (
        Chain("small", (64, 64, 64)),
        Chain("medium", (512, 1024, 512)),
        Chain("large", (1024, 2048, 1024)),
    )
}
