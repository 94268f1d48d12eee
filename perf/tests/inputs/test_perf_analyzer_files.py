"""What people have for perf_analyzer: its JSON, and directories of raw files."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.shapes import apply
from infermesh_perf.inputs.sources.read import Recorded, read_inputs, read_outputs
from infermesh_perf.target.model import ModelSpec, TensorSpec
from support.load_models import model

SQUARE = model(TensorSpec("INPUT0", "INT32", (2, 2)), outputs=(TensorSpec("OUTPUT0", "INT32", (2, 2)),))
OPEN = model(TensorSpec("INPUT", "INT32", (-1, -1)))
TEXT = model(TensorSpec("INPUT", "BYTES", (-1,)))


def read(tmp_path: Path, document: Any, of_model: ModelSpec, shaped: ModelSpec | None = None) -> Recorded:
    path = tmp_path / "data.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_inputs(path, of_model, shaped or of_model)


def values(found: Recorded) -> list[list[dict[str, Any]]]:
    return [[{name: array.tolist() for name, array in row.items()} for row in rows] for rows in found.scripts]


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    "tensor",
    [
        [1, 2, 3, 4],
        [[1, 2], [3, 4]],
        {"content": [1, 2, 3, 4]},
        {"content": [1, 2, 3, 4], "shape": [2, 2]},
        {"b64": b64(np.array([1, 2, 3, 4], "<i4").tobytes())},
        {"content": {"b64": b64(np.array([1, 2, 3, 4], "<i4").tobytes())}, "shape": [2, 2]},
    ],
)
def test_every_form_of_a_tensor(tmp_path: Path, tensor: Any) -> None:
    found = read(tmp_path, {"data": [{"INPUT0": tensor}]}, SQUARE)

    assert values(found) == [[{"INPUT0": [[1, 2], [3, 4]]}]]
    assert found.expected == [[]]


def test_shapes_of_their_own_stand_beside_the_option(tmp_path: Path) -> None:
    data = [
        {"INPUT": {"content": list(range(16)), "shape": [2, 8]}},
        {"INPUT": {"content": list(range(16))}},
        {"INPUT": list(range(16))},
    ]

    found = read(tmp_path, {"data": data}, OPEN, apply(OPEN, {"INPUT": (4, 4)}))

    assert [row["INPUT"].shape for row in found.scripts[0]] == [(2, 8), (4, 4), (4, 4)]


def test_a_shape_that_nobody_says(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"sample 0: found no shape, expected one or --shape INPUT:1,1"):
        read(tmp_path, {"data": [{"INPUT": [1, 2, 3, 4]}]}, OPEN)


def test_texts(tmp_path: Path) -> None:
    data = [
        {"INPUT": ["a", "h\u00e9"]},
        {"INPUT": {"b64": b64(b"\1\0\0\0a\2\0\0\0\xff\0")}},
        {"INPUT": "one"},
    ]

    found = values(read(tmp_path, {"data": data}, TEXT))

    assert found == [[{"INPUT": [b"a", b"h\xc3\xa9"]}, {"INPUT": [b"a", b"\xff\0"]}, {"INPUT": [b"one"]}]]


def test_streams_are_scripts(tmp_path: Path) -> None:
    streams = [[{"INPUT": ["1"]}, {"INPUT": ["2"]}], [{"INPUT": ["3"]}]]

    found = values(read(tmp_path, {"data": streams}, TEXT))

    assert found == [[{"INPUT": [b"1"]}, {"INPUT": [b"2"]}], [{"INPUT": [b"3"]}]]


def test_validation_data_is_expected(tmp_path: Path) -> None:
    document = {"data": [{"INPUT0": [1, 2, 3, 4]}], "validation_data": [{"OUTPUT0": [2, 4, 6, 8]}]}

    found = read(tmp_path, document, SQUARE)

    assert found.expected[0][0]["OUTPUT0"].tolist() == [[2, 4], [6, 8]]
    assert read_outputs(tmp_path / "data.json", SQUARE)[0][0]["OUTPUT0"].tolist() == [[2, 4], [6, 8]]
    (tmp_path / "out.json").write_text('{"data": [{"OUTPUT0": [1, 1, 1, 1]}]}')
    assert read_outputs(tmp_path / "out.json", SQUARE)[0][0]["OUTPUT0"].tolist() == [[1, 1], [1, 1]]


def test_optional_inputs_may_be_left_out(tmp_path: Path) -> None:
    optional = model(TensorSpec("x", "INT32", (1,)), TensorSpec("o", "INT32", (1,), optional=True))

    found = values(read(tmp_path, {"data": [{"x": [1]}, {"x": [2], "o": [3]}]}, optional))

    assert found == [[{"x": [1]}, {"x": [2], "o": [3]}]]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "found no JSON object"),
        ({"inputs": []}, "found no data, expected perf_analyzer's form"),
        ({"data": []}, "data: expected a list of samples"),
        ({"data": {}}, "data: expected a list of samples"),
        ({"data": [[], [{"INPUT0": [1, 2, 3, 4]}]]}, "a stream without samples"),
        ({"data": [[{"INPUT0": [1, 2, 3, 4]}], {"INPUT0": [1, 2, 3, 4]}]}, "samples beside lists"),
        ({"data": [3]}, "sample 0: expected an object"),
        ({"data": [{"INPUT1": [1, 2, 3, 4]}]}, "found 'INPUT1', which is no input"),
        ({"data": [{}]}, "input 'INPUT0' is missing"),
        ({"data": [{"INPUT0": [1, 2, 3]}]}, "of sample 0: found 3 elements, expected 4"),
        (
            {"data": [[{"INPUT0": [1, 2, 3, 4]}, {"INPUT0": [1]}]]},
            "of sample 1 of stream 0: found 1 elements",
        ),
        ({"data": [{"INPUT0": [1, 2, 3, 4.5]}]}, "found 4.5, expected whole numbers"),
        ({"data": [{"INPUT0": [[1, 2], [3]]}]}, "different lengths"),
        ({"data": [{"INPUT0": [[1, 2, 3, 4]]}]}, r"found the shape \[1, 4\], expected \[2, 2\]"),
        ({"data": [{"INPUT0": {"content": [1, 2], "shape": [2, 2]}}]}, "found 2 elements, expected 4"),
        ({"data": [{"INPUT0": {"content": [1, 2], "shape": "2"}}]}, "found the shape '2'"),
        ({"data": [{"INPUT0": {"content": [1, 2, 3, 4], "shape": [4]}}]}, r"expected \[2, 2\]"),
        ({"data": [{"INPUT0": {"values": [1]}}]}, "found an object with values, expected a list"),
        ({"data": [{"INPUT0": {"b64": "###"}}]}, "expected base64"),
        ({"data": [{"INPUT0": {"b64": b64(b"abc")}}]}, "expected a multiple of 4"),
        ({"data": [{"INPUT0": {"b64": 7}}]}, "found {'b64': 7}"),
        ({"data": [{"INPUT0": [1] * 4}], "validation_data": [{"OUT": [1]}]}, "'OUT', which is no output"),
        (
            {"data": [{"INPUT0": [1] * 4}] * 2, "validation_data": [{"OUTPUT0": [1] * 4}]},
            r"validation_data has \[1\] samples by stream, expected \[2\]",
        ),
    ],
)
def test_what_the_format_does_not_have(tmp_path: Path, document: Any, said: str) -> None:
    with pytest.raises(SetupError, match=said) as caught:
        read(tmp_path, document, SQUARE)
    assert str(caught.value).startswith(str(tmp_path / "data.json"))


def test_a_directory_is_one_sample(tmp_path: Path) -> None:
    mixed = model(
        TensorSpec("image", "FP32", (2, -1)),
        TensorSpec("text", "BYTES", (2,)),
        TensorSpec("o", "FP32", (1,), optional=True),
    )
    (tmp_path / "image").write_bytes(np.arange(6, dtype="<f4").tobytes())
    (tmp_path / "text").write_text("first line\nsecond\n")
    (tmp_path / "y").write_bytes(np.array([5, 6], "<f4").tobytes())

    found = read_inputs(tmp_path, mixed, mixed)

    assert values(found) == [[{"image": [[0, 1, 2], [3, 4, 5]], "text": [b"first line", b"second"]}]]
    assert [row["y"].tolist() for row in found.expected[0]] == [[5, 6]]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "input 'x' is missing"),
        ({"x": bytes(16), "z": b""}, "found 'z', which is no input"),
        ({"x": bytes(12)}, "input 'x': found 3 elements, expected 4"),
        ({"x": bytes(15)}, "expected a multiple of 4"),
    ],
)
def test_directories_that_do_not_fit(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SetupError, match=said):
        read_inputs(tmp_path, model(), model())
