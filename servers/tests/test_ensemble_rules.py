"""Errors of ensemble_scheduling: line, field, what was found, what is expected."""

from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh_servers.model.config import read_config

CHAIN = """\
platform: "ensemble"
max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
ensemble_scheduling {
  step {
    model_name: "first"
    model_version: -1
    input_map { key: "a" value: "x" }
    output_map { key: "b" value: "h" }
  }
  step {
    model_name: "second"
    model_version: -1
    input_map { key: "a" value: "h" }
    output_map { key: "b" value: "y" }
  }
}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "chain" / "config.pbtxt"
    path.parent.mkdir()
    return path


def test_a_chain_breaks_no_rule(path: Path) -> None:
    path.write_text(CHAIN)
    read_config(path, "chain")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ('"ensemble"', '"onnxruntime_onnx"', 1, 'platform: found "onnxruntime_onnx" beside ensemble_sched'),
        ('"first"', '"chain"', 7, 'step.model_name: found "chain", the ensemble itself, expected another'),
        ('model_name: "first"', "", 6, "step.model_name: found none in step 1"),
        ("model_version: -1", "model_version: -2", 8, "step.model_version: found -2 in step 1"),
        ('value: "x"', 'value: "z"', 9, 'step.input_map: found "z" for "a" in step 1 (model "first")'),
        ('value: "x"', 'value: ""', 9, "step.input_map: found an entry without a value in step 1"),
        ('value: "x"', 'value: "y"', 9, "found steps that wait for each other"),
        ('value: "y"', 'value: "h"', 16, 'step.output_map: found "h" from output "b" of step 2'),
        ('name: "y"', 'name: "q"', 4, 'output.name: found "q", expected an output that a step'),
        ('value: "x"', 'value: "h"', 9, "found steps that wait for each other"),
    ],
)
def test_what_is_broken_is_named_with_its_line(
    path: Path, old: str, new: str, line: int, message: str
) -> None:
    path.write_text(CHAIN.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        read_config(path, "chain")
    told = str(caught.value)
    assert f"config.pbtxt:{line}: " in told
    assert message in told


def test_the_platform_alone_is_no_ensemble(path: Path) -> None:
    path.write_text(CHAIN.split("ensemble_scheduling")[0])
    with pytest.raises(ConfigurationError, match=r"config\.pbtxt:1: ensemble_scheduling: found none"):
        read_config(path, "chain")
