"""The models under test: each is built from a seed, so every peer serves the same bytes on every machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from infermesh_perf.resnet import build_resnet50

# In place of the onnx package's newest, so that an older ONNX Runtime of a peer loads the files.
OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True)
class Load:
    """What the client does at once: `streams` requests in flight, each carrying `rows` samples."""

    rows: int
    streams: int

    def __str__(self) -> str:
        """Short form for tables, such as `16 x 8 rows`."""
        return f"{self.streams} x {self.rows} row{'s' if self.rows > 1 else ''}"


@dataclass(frozen=True)
class Model:
    """One FP32 model with one input and one output, both with the batch as first dimension.

    `loads` is empty for a model whose cost is the path and not the arithmetic: the command line chooses its
    streams. One with loads is compute-bound, and reported as a share of ONNX Runtime alone at `alone_rows`.
    `least_seconds` is how long one run must last to hold enough requests.
    """

    name: str
    build: Callable[[], onnx.ModelProto]
    input_name: str
    input_shape: tuple[int, ...]
    output_name: str
    output_shape: tuple[int, ...]
    max_batch_size: int
    loads: tuple[Load, ...] = ()
    alone_rows: tuple[int, ...] = ()
    least_seconds: float = 0

    @property
    def compute_bound(self) -> bool:
        """Whether arithmetic, and not the path of the request, is what limits this model."""
        return bool(self.loads)

    def sample(self, rows: int) -> NDArray[np.float32]:
        """The same `rows` inputs on every call, standard normal."""
        generator = np.random.default_rng(rows)
        return generator.standard_normal((rows, *self.input_shape)).astype(np.float32)

    def save(self, directory: Path) -> Path:
        """Builds the model into `NAME.onnx` in `directory`, in seconds at most, and returns its path."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.name}.onnx"
        # A new file, never the old one written over: a repository may still hold a hard link to that.
        path.unlink(missing_ok=True)
        onnx.save(self.build(), str(path))
        return path


def build_perceptron(
    name: str, widths: tuple[int, ...], seed: int = 7, last_activation: str = "Softmax"
) -> onnx.ModelProto:
    """Dense layers of the given widths, ReLU between them, another behind the last; `x` in, `y` out."""
    generator = np.random.default_rng(seed)
    nodes, weights = [], []
    last = "x"
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
        scale = np.sqrt(2 / fan_in)
        kernel = (generator.standard_normal((fan_in, fan_out)) * scale).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{layer}"))
        weights.append(numpy_helper.from_array(np.zeros(fan_out, dtype=np.float32), f"b{layer}"))
        nodes.append(helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [f"h{layer}"]))
        last = f"h{layer}"
        if layer < len(widths) - 2:
            nodes.append(helper.make_node("Relu", [last], [f"a{layer}"]))
            last = f"a{layer}"
    nodes.append(helper.make_node(last_activation, [last], ["y"]))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", widths[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", widths[-1]])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def identity(elements: int) -> Model:
    """Answers its input, a row of so many elements, one request at a time: the way there and back is all."""
    name = f"identity-{elements}"

    def build() -> onnx.ModelProto:
        x, y = (helper.make_tensor_value_info(it, TensorProto.FLOAT, ["N", elements]) for it in ("x", "y"))
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], name, [x], [y])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)

    return Model(
        name=name,
        build=build,
        input_name="x",
        input_shape=(elements,),
        output_name="y",
        output_shape=(elements,),
        max_batch_size=1,
    )


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            name="perceptron",
            build=lambda: build_perceptron("perceptron", (64, 64, 10)),
            input_name="x",
            input_shape=(64,),
            output_name="y",
            output_shape=(10,),
            max_batch_size=64,
        ),
        Model(
            name="mlp",
            build=lambda: build_perceptron("mlp", (512, 1024, 1024, 10)),
            input_name="x",
            input_shape=(512,),
            output_name="y",
            output_shape=(10,),
            max_batch_size=64,
            loads=(Load(rows=1, streams=64), Load(rows=16, streams=16)),
            alone_rows=(1, 8, 16, 32, 64),
        ),
        Model(
            name="resnet50",
            build=build_resnet50,
            input_name="x",
            input_shape=(3, 224, 224),
            output_name="y",
            output_shape=(1000,),
            # Beyond 8 rows ONNX Runtime gets slower on small machines: a larger batch would cost every peer.
            max_batch_size=8,
            loads=(Load(rows=1, streams=16), Load(rows=8, streams=4)),
            alone_rows=(1, 2, 4, 8, 16),
            least_seconds=10,
        ),
    )
}
