"""ONNX models, small enough to be written in a test run."""

from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Dims = Sequence[int | str]

#: Wire name to ONNX's element type and numpy's.
DATATYPES: dict[str, tuple[int, Any]] = {
    "BOOL": (TensorProto.BOOL, np.bool_),
    "UINT8": (TensorProto.UINT8, np.uint8),
    "UINT16": (TensorProto.UINT16, np.uint16),
    "UINT32": (TensorProto.UINT32, np.uint32),
    "UINT64": (TensorProto.UINT64, np.uint64),
    "INT8": (TensorProto.INT8, np.int8),
    "INT16": (TensorProto.INT16, np.int16),
    "INT32": (TensorProto.INT32, np.int32),
    "INT64": (TensorProto.INT64, np.int64),
    "FP16": (TensorProto.FLOAT16, np.float16),
    "BF16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
    "FP32": (TensorProto.FLOAT, np.float32),
    "FP64": (TensorProto.DOUBLE, np.float64),
    "BYTES": (TensorProto.STRING, np.object_),
}


def identity(datatype: str = "FP32", dims: Dims = ("n", 4)) -> bytes:
    """y = x."""
    return _model([helper.make_node("Identity", ["x"], ["y"])], {"x": dims}, {"y": dims}, datatype)


def add(width: int = 16) -> bytes:
    """sum = a + b."""
    dims = ("n", width)
    return _model([helper.make_node("Add", ["a", "b"], ["sum"])], {"a": dims, "b": dims}, {"sum": dims})


def scale(factor: float, dims: Dims = ("n", 4)) -> bytes:
    """y = factor * x."""
    weights = {"factor": np.array(factor, np.float32)}
    return _model(
        [helper.make_node("Mul", ["x", "factor"], ["y"])], {"x": dims}, {"y": dims}, weights=weights
    )


def refuses_zero() -> bytes:
    """y = table[x + 3] of a table of three: -1, -2 and -3 are answered."""
    nodes = [
        helper.make_node("Add", ["x", "three"], ["at"]),
        helper.make_node("Gather", ["table", "at"], ["y"]),
    ]
    weights = {"three": np.array(3, np.int64), "table": np.array([30, 20, 10], np.int64)}
    return _model(nodes, {"x": ("n", 1)}, {"y": ("n", 1)}, "INT64", weights)


def matmul_chain(width: int = 1024, length: int = 8) -> bytes:
    """y = x W W ... W: slow, so that requests queue behind it."""
    nodes = [
        helper.make_node("MatMul", ["x" if step == 0 else f"h{step}", "w"], [f"h{step + 1}"])
        for step in range(length)
    ]
    nodes.append(helper.make_node("Identity", [f"h{length}"], ["y"]))
    weights: NDArray[np.float32] = np.eye(width, dtype=np.float32)
    return _model(nodes, {"x": ("n", width)}, {"y": ("n", width)}, weights={"w": weights})


def accumulator() -> bytes:
    """sum = x + the sum before it, which is kept as state; ``whose`` says to which sequence a row belongs.

    START makes a row begin at 100 times its value, READY = 0 makes it count nothing.
    """
    int32, uint64 = TensorProto.INT32, TensorProto.UINT64
    nodes = [
        helper.make_node("Mul", ["START", "hundred"], ["bonus"]),
        helper.make_node("Mul", ["x", "READY"], ["counted"]),
        helper.make_node("Add", ["was", "counted"], ["plain"]),
        helper.make_node("Add", ["plain", "bonus"], ["sum"]),
        helper.make_node("Identity", ["sum"], ["is"]),
        helper.make_node("Identity", ["CORRID"], ["whose"]),
    ]

    def row(name: str, element: int) -> Any:
        return helper.make_tensor_value_info(name, element, ["n", 1])

    graph = helper.make_graph(
        nodes,
        "graph",
        # In no particular order, as models come.
        [row("READY", int32), row("was", int32), row("x", int32), row("CORRID", uint64), row("START", int32)],
        [row("is", int32), row("whose", uint64), row("sum", int32)],
        [numpy_helper.from_array(np.array(100, np.int32), "hundred")],
    )
    return _serialized(graph)


def biased(value: float = 100, dims: Dims = ("n", 4)) -> bytes:
    """y = x + bias; without a bias it is ``value``."""
    # The initializer of an input's name is what stands for the input where it is left out.
    shape = [1 if isinstance(dim, str) else dim for dim in dims]
    bias = {"bias": np.full(shape, value, np.float32)}
    return _model(
        [helper.make_node("Add", ["x", "bias"], ["y"])], {"x": dims, "bias": dims}, {"y": dims}, weights=bias
    )


def sums() -> bytes:
    """Of requests that lie end to end in ``x`` and begin and end at ``at``: the sum of each; and twice x."""
    nodes = [
        helper.make_node("CumSum", ["x", "zero"], ["so_far"]),
        helper.make_node("Concat", ["nothing", "so_far"], ["sums"], axis=0),
        helper.make_node("Gather", ["sums", "at"], ["bounds"]),
        helper.make_node("Slice", ["bounds", "one", "end"], ["ends"]),
        helper.make_node("Slice", ["bounds", "start", "last"], ["starts"]),
        helper.make_node("Sub", ["ends", "starts"], ["of_each"]),
        helper.make_node("Unsqueeze", ["of_each", "one"], ["sum"]),
        helper.make_node("Add", ["x", "x"], ["twice"]),
    ]
    weights = {
        "zero": np.array(0, np.int64),
        "nothing": np.zeros(1, np.float32),
        **{name: np.array([at], np.int64) for name, at in (("start", 0), ("one", 1), ("last", -1))},
        "end": np.array([2**31], np.int64),
    }
    float_, int32 = TensorProto.FLOAT, TensorProto.INT32
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info("at", int32, ["bounds"]),
            helper.make_tensor_value_info("x", float_, ["n"]),
        ],
        [
            helper.make_tensor_value_info("sum", float_, ["requests", 1]),
            helper.make_tensor_value_info("twice", float_, ["n"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return _serialized(graph)


def attention() -> bytes:
    """Of the tokens that the mask counts: how many, and their sum; and each token twice, side by side."""
    nodes = [
        helper.make_node("Mul", ["ids", "mask"], ["counted"]),
        helper.make_node("ReduceSum", ["counted", "along"], ["sum"]),
        helper.make_node("ReduceSum", ["mask", "along"], ["count"]),
        helper.make_node("Concat", ["count", "sum"], ["pooled"], axis=1),
        helper.make_node("Unsqueeze", ["ids", "last"], ["column"]),
        helper.make_node("Concat", ["column", "column"], ["tokens"], axis=2),
    ]
    weights = {"along": np.array([1], np.int64), "last": np.array([2], np.int64)}
    ids: Dims = ("n", "length")
    outputs: dict[str, Dims] = {"pooled": ("n", 2), "tokens": ("n", "length", 2)}
    return _model(nodes, {"ids": ids, "mask": ids}, outputs, "INT64", weights)


def _model(
    nodes: list[Any],
    inputs: dict[str, Dims],
    outputs: dict[str, Dims],
    datatype: str = "FP32",
    weights: Mapping[str, NDArray[Any]] | None = None,
) -> bytes:
    element, _ = DATATYPES[datatype]

    def tensors(ports: dict[str, Dims]) -> list[Any]:
        return [helper.make_tensor_value_info(name, element, list(dims)) for name, dims in ports.items()]

    graph = helper.make_graph(
        nodes,
        "graph",
        tensors(inputs),
        tensors(outputs),
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    return _serialized(graph)


def _serialized(graph: Any) -> bytes:
    # Versions that every ONNX Runtime of the last years reads; the onnx package would write its newest.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized
