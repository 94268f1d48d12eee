"""ResNet-50, made from the weightless graph that the `onnx` package ships for its own backend tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, shape_inference


def build_resnet50() -> onnx.ModelProto:
    """ResNet-50 with a free batch dimension: `x` [N, 3, 224, 224] in, `y` [N, 1000] probabilities out.

    The shipped graph has batch 1, fills every weight with one constant at run time and lists its initializers
    as inputs, which forbids ONNX Runtime to fold them. Here the weights come from a seed and are constants.

    Raises FileNotFoundError when the installed `onnx` ships no such graph.
    """
    source = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"
    model = onnx.load(str(source))
    graph = model.graph
    # Initializers that are no inputs exist since IR version 4.
    model.ir_version = 8
    _draw_weights(graph)
    _free_batch(graph)
    for node in graph.node:
        if node.op_type == "Sum" and len(node.input) == 2:
            # The same arithmetic, but only Add is fused into the convolution before it.
            node.op_type = "Add"
    _rename(graph, graph.input[0].name, "x")
    _rename(graph, graph.output[0].name, "y")
    del graph.value_info[:]
    inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    onnx.checker.check_model(inferred)
    return inferred


def _draw_weights(graph: onnx.GraphProto) -> None:
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    generator = np.random.default_rng(50)
    weights: list[onnx.TensorProto] = []
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            shape = tuple(int(size) for size in constants[node.input[0]])
            weights.append(numpy_helper.from_array(_weight(node.output[0], shape, generator), node.output[0]))
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    made = {weight.name for weight in weights}
    weights.extend(item for item in graph.initializer if item.name in used and item.name not in made)
    data = [item for item in graph.input if item.name in used and item.name not in constants]
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(kept)
    graph.initializer.extend(weights)
    graph.input.extend(data)


def _weight(name: str, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float32]:
    if len(shape) > 1:
        fan_in = int(np.prod(shape[1:]))
        # The classifier is kept small: saturated probabilities would hide a wrong answer.
        scale = np.sqrt(2 / fan_in) if len(shape) == 4 else 0.01
        return (generator.standard_normal(shape) * scale).astype(np.float32)
    if name.endswith(("_s_0", "_riv_0")):
        # Below 1 where a branch joins the trunk: 16 additions would let the activations grow without bound.
        return np.full(shape, 0.25 if "branch2c_bn_s" in name else 1.0, dtype=np.float32)
    return np.zeros(shape, dtype=np.float32)


def _free_batch(graph: onnx.GraphProto) -> None:
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    constants = {item.name: item for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Reshape":
            target = constants[node.input[1]]
            shape = numpy_helper.to_array(target).copy()
            shape[0] = -1
            target.CopyFrom(numpy_helper.from_array(shape, target.name))


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for value in (*graph.input, *graph.output):
        if value.name == old:
            value.name = new
    for node in graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == old:
                    names[position] = new
