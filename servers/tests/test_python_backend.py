"""A person's model.py: how it is imported, completed, called, held to its outputs and let go."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh_servers.model.python_backend import Instance, load_instances
from infermesh_servers.model.python_outputs import BatchError

DOUBLE = """
import numpy as np

class Model:
    inputs = {"x": ("FP32", [2])}
    outputs = {"y": ("FP32", [2]), "text": ("BYTES", [1])}
    max_batch_size = 8

    def infer(self, batch):
        x = batch["x"]
        return {"y": x * 2, "text": np.array([[f"{row.sum():.0f}"] for row in x], dtype=object)}
"""

Load = Callable[..., tuple[ModelConfig, list[Instance]]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_text(text: str, config: str = "", version: int = 1) -> tuple[ModelConfig, list[Instance]]:
        file = tmp_path / "model.py"
        file.write_text(text)
        message = text_format.Parse(config, ModelConfig(name="m"))
        return load_instances(file, version, message)

    return load_text


def tensor(
    name: str, array: np.ndarray[Any, Any], datatype: str = "FP32"
) -> tuple[str, str, Any, memoryview]:
    return name, datatype, array.shape, memoryview(array.tobytes())


def test_a_batch_goes_through_and_outputs_keep_their_order(load: Load) -> None:
    _, (instance,) = load(DOUBLE)
    y, text = instance([tensor("x", np.array([[1, 2], [3, 4]], np.float32))])
    assert y[:3] == ("y", "FP32", (2, 2))
    assert np.frombuffer(y[3], np.float32).tolist() == [2, 4, 6, 8]
    assert text[:3] == ("text", "BYTES", (2, 1))
    assert bytes(text[3]) == b"\x01\x00\x00\x003\x01\x00\x00\x007"


def test_the_class_completes_the_configuration(load: Load) -> None:
    config, _ = load(DOUBLE)
    assert config.max_batch_size == 8
    assert config.HasField("dynamic_batching")
    assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in config.output] == [
        ("y", 11, [2]),
        ("text", 13, [1]),
    ]


def test_the_file_takes_precedence_over_the_class(load: Load) -> None:
    config, _ = load(DOUBLE, 'max_batch_size: 2 input { name: "x" data_type: TYPE_FP32 dims: -1 }')
    assert config.max_batch_size == 2
    assert list(config.input[0].dims) == [-1]
    assert not config.HasField("dynamic_batching")


def test_one_instance_for_each_that_is_configured_and_each_knows_its_place(
    load: Load, tmp_path: Path
) -> None:
    text = DOUBLE.replace(
        "    def infer",
        "    def __init__(self, context):\n        self.context = context\n\n    def infer",
    )
    config = (
        'instance_group { count: 2 } instance_group { } parameters { key: "k" value { string_value: "v" } }'
    )
    _, instances = load(text, config, version=7)
    contexts = [instance._model.context for instance in instances]  # type: ignore[attr-defined]
    assert [context.instance for context in contexts] == [0, 1, 2]
    assert (contexts[0].name, contexts[0].version, contexts[0].directory) == ("m", 7, tmp_path)
    assert contexts[0].parameters == {"k": "v"}


def test_inputs_cannot_be_written_to(load: Load) -> None:
    _, (instance,) = load(DOUBLE.replace("return {", "x[0] = 0\n        return {"))
    with pytest.raises(BatchError, match="read-only"):
        instance([tensor("x", np.ones((1, 2), np.float32))])


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ('{"z": x, "text": 1}', "model 'm': output 'y' is missing, found 'z', 'text'"),
        ('{"y": x.astype("f8")}', "output 'y' has type float64, expected float32 for FP32"),
        ('{"y": x[:1]}', r"output 'y' has shape \[1, 2\], expected \[2, 2\] for a batch of 2"),
        ('{"y": x[:, :1]}', r"output 'y' has shape \[2, 1\], expected \[2, 2\] for a batch of 2"),
        ('{"y": [1.0]}', "output 'y' is of type list, expected a numpy array"),
        ('{"y": x, "text": x}', "output 'text' has type float32, expected object for BYTES"),
        ('{"y": x, "text": np.array([[1], [2]], object)}', "output 'text': found an element of type int"),
        ("None", "infer returned NoneType, expected a dict"),
        ('batch["w"]', "model 'm': KeyError: 'w'"),
    ],
)
def test_a_wrong_answer_says_what_was_expected(load: Load, returned: str, message: str) -> None:
    head, _, _ = DOUBLE.partition("        return")
    _, (instance,) = load(f"{head}        return {returned}\n")
    with pytest.raises(BatchError, match=message):
        instance([tensor("x", np.ones((2, 2), np.float32))])


def test_without_a_batch_dimension_only_the_declared_shape_counts(load: Load) -> None:
    text = DOUBLE.replace("max_batch_size = 8", "").replace('"x": ("FP32", [2])', '"x": ("FP32", [-1, 2])')
    text = text.replace('"y": ("FP32", [2]), "text": ("BYTES", [1])', '"y": ("FP32", [2])')
    config, (instance,) = load(text.replace("x * 2", "x.sum(axis=0)"))
    assert config.max_batch_size == 0
    (answer,) = instance([tensor("x", np.ones((5, 2), np.float32))])
    assert answer[2] == (2,)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("x = 1", TypeError, "found no class Model, expected one with a method infer"),
        ("class Model: pass", TypeError, "found no method infer in class Model"),
        (
            "class Model:\n  def infer(self, batch): ...",
            ValueError,
            "found no inputs, expected them in config",
        ),
        (
            DOUBLE.replace('("FP32", [2])}', '"FP32"}'),
            TypeError,
            r"inputs\['x'\]: found 'FP32' in class Model",
        ),
        (DOUBLE.replace("FP32", "FLOAT"), ValueError, "unknown datatype 'FLOAT', expected one of BOOL"),
        (DOUBLE.replace("= 8", "= -8"), TypeError, "max_batch_size: found -8 in class Model"),
        ("import nothing_of_that_name", ModuleNotFoundError, "nothing_of_that_name"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    load: Load, text: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load(text)
    assert not [name for name in sys.modules if name.startswith("infermesh_model_m_")]


def test_modules_beside_the_model_are_its_own(load: Load, tmp_path: Path) -> None:
    (tmp_path / "factor.py").write_text("FACTOR = 3\n")
    _, (instance,) = load("from .factor import FACTOR\n" + DOUBLE.replace("x * 2", "x * FACTOR"))
    (y, _) = instance([tensor("x", np.ones((1, 2), np.float32))])
    assert np.frombuffer(y[3], np.float32).tolist() == [3, 3]


def test_a_changed_file_is_run_anew(load: Load) -> None:
    _, (old,) = load(DOUBLE)
    _, (new,) = load(DOUBLE.replace("x * 2", "x * 5"))
    ones = [tensor("x", np.ones((1, 2), np.float32))]
    assert np.frombuffer(old(ones)[0][3], np.float32).tolist() == [2, 2]
    assert np.frombuffer(new(ones)[0][3], np.float32).tolist() == [5, 5]


def test_letting_go_of_the_instance_closes_the_model_and_forgets_its_module(
    load: Load, tmp_path: Path
) -> None:
    text = DOUBLE + (
        "\n    def close(self):\n"
        "        import pathlib\n"
        "        (pathlib.Path(__file__).parent / 'closed').touch()\n"
    )
    _, instances = load(text)
    assert [name for name in sys.modules if name.startswith("infermesh_model_m_")]
    del instances
    gc.collect()
    assert (tmp_path / "closed").exists()
    assert not [name for name in sys.modules if name.startswith("infermesh_model_m_")]


EACH = """
class Model:
    inputs = {"x": ("FP32", [2])}
    outputs = {"y": ("FP32", [2])}
    max_batch_size = 8
    decoupled = True
    closed = 0

    def infer(self, batch):
        try:
            for row in batch["x"]:
                if row[0] < 0:
                    raise ValueError("negative")
                yield {"y": row.reshape(1, 2)[:, : int(row[0])]}
        finally:
            Model.closed += 1
"""


def rows(*first: float) -> list[tuple[str, str, Any, memoryview]]:
    return [tensor("x", np.array([[number, number] for number in first], np.float32))]


def test_a_decoupled_class_says_so_in_its_configuration(load: Load) -> None:
    assert load(EACH)[0].model_transaction_policy.decoupled
    assert not load(DOUBLE)[0].HasField("model_transaction_policy")
    assert not load(EACH, "model_transaction_policy { }")[0].model_transaction_policy.decoupled
    with pytest.raises(TypeError, match="decoupled: found 'yes' in class Model, expected True or False"):
        load(EACH.replace("True", '"yes"'))


def test_closing_a_stream_closes_the_model_s(load: Load) -> None:
    _, (instance,) = load(EACH)
    model: Any = type(instance._model)
    answers = instance.stream(rows(2))
    ((y,),) = [next(answers)]
    assert np.frombuffer(y[3], np.float32).tolist() == [2, 2]
    assert model.closed == 0
    answers.close()  # type: ignore[attr-defined]
    assert model.closed == 1


@pytest.mark.parametrize(
    ("first", "message"),
    [(-1, "model 'm': ValueError: negative"), (1, r"output 'y' has shape \[1, 1\], expected \[1, 2\]")],
)
def test_a_stream_ends_with_what_went_wrong(load: Load, first: float, message: str) -> None:
    _, (instance,) = load(EACH)
    with pytest.raises(BatchError, match=message):
        list(instance.stream(rows(first)))


@pytest.mark.parametrize("returned", ["None", '{"y": batch["x"]}', '[batch["x"]]'])
def test_a_decoupled_model_returns_an_iterator(load: Load, returned: str) -> None:
    head, _, _ = EACH.partition("        try:")
    _, (instance,) = load(f"{head}        return {returned}\n")
    with pytest.raises(BatchError, match="expected an iterator: a decoupled model yields its answers"):
        list(instance.stream(rows(1)))
