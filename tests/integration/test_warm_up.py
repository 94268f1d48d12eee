"""What `model_warmup` asks for has run before the model is ready; if it fails, so does the load."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import onnx_models
from support.client import Client, outputs, request, to_raw
from support.repository import Repository
from support.server import Serve

#: Notes every batch in a file before it answers; refuses one whose first element is 9.
NOTING = """
import json
import os


class Model:
    inputs = {"x": ("INT32", [2])}
    outputs = {"y": ("INT32", [2])}
    max_batch_size = 8

    def __init__(self, context):
        self.notes = context.parameters["notes"]
        self.instance = context.instance

    def infer(self, batch):
        note = {"instance": self.instance, "rows": batch["x"].tolist()}
        with open(self.notes, "a") as notes:
            notes.write(json.dumps(note) + os.linesep)
        if batch["x"][0, 0] == 9:
            raise ValueError("nine is too many")
        return {"y": batch["x"]}
"""


def warm_up(data: str, *, name: str = "first", batch: int = 2, count: int = 0, dims: int = 2) -> str:
    value = f"data_type: TYPE_INT32 dims: {dims} {data}"
    return (
        f'model_warmup {{ name: "{name}" batch_size: {batch} count: {count} '
        f'inputs {{ key: "x" value {{ {value} }} }} }}\n'
    )


class Notes:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "notes"
        self.config = f'parameters {{ key: "notes" value {{ string_value: "{self.file}" }} }}\n'

    def read(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path)


def put(repository: Repository, config: str, **files: np.ndarray) -> None:
    repository.python("noting", NOTING, config=config)
    folder = repository.root / "noting" / "warmup"
    folder.mkdir()
    for name, array in files.items():
        (folder / name).write_bytes(to_raw(array))


def test_each_instance_runs_it_as_often_as_it_says(
    serve: Serve, repository: Repository, notes: Notes
) -> None:
    row = np.array([3, 4], np.int32)
    asked = warm_up('input_data_file: "row"', count=2) + warm_up("zero_data: true", name="second", batch=1)
    put(repository, notes.config + "instance_group { count: 2 }\n" + asked, row=row)
    serve().wait_ready()
    for instance in (0, 1):
        ran = [note["rows"] for note in notes.read() if note["instance"] == instance]
        assert ran == [[[3, 4], [3, 4]], [[3, 4], [3, 4]], [[0, 0]]]


def test_random_data_is_harmless(serve: Serve, repository: Repository, notes: Notes) -> None:
    put(repository, notes.config + warm_up("random_data: true", batch=8))
    serve().wait_ready()
    (note,) = notes.read()
    rows = np.array(note["rows"])
    assert rows.shape == (8, 2)
    assert set(rows.flat) == {0, 1}


REFUSED = {
    "fails": (warm_up('input_data_file: "nine"'), ["warm-up 'first' failed", "nine is too many"]),
    "no_file": (warm_up('input_data_file: "none"'), ["model_warmup 'first'", "input 'x'", "warmup/none"]),
    "outside": (warm_up('input_data_file: "../config.pbtxt"'), ["the name of a file in warmup/"]),
    "too_short": (warm_up('input_data_file: "short"'), ["holds 4 bytes, expected 8"]),
    "too_large": (warm_up("zero_data: true", batch=9), ["batch_size is 9, expected 1 to 8"]),
    "wrong_dims": (warm_up("zero_data: true", dims=3), ["dims are [3], expected [2]"]),
    "no_input": ('model_warmup { name: "first" batch_size: 1 }\n', ["input 'x' is missing"]),
    "no_data": (warm_up(""), ["found no data, expected zero_data, random_data or input_data_file"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_one_that_fails_fails_the_load(serve: Serve, repository: Repository, notes: Notes, case: str) -> None:
    config, fragments = REFUSED[case]
    nine, short = np.array([9, 9], np.int32), np.array([1], np.int32)
    put(repository, notes.config + config, nine=nine, short=short)
    server = serve()
    server.wait_for("server-not-ready")
    with Client(server.target) as client:
        state, reason = client.index()["noting", "1"]
    assert state == "UNAVAILABLE"
    for fragment in fragments:
        assert fragment in reason
    failed = server.wait_for("model-load-failed")
    assert failed["error.message"] == reason


def test_an_onnx_model_is_warmed_up_too(serve: Serve, repository: Repository) -> None:
    asked = warm_up("zero_data: true", dims=3).replace("TYPE_INT32", "TYPE_FP32")
    wide = onnx_models.identity("FP32", ("n", "m"))
    repository.onnx("wide", wide, config="max_batch_size: 4\n" + asked)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        # What was run in is no inference that anybody asked for.
        assert client.statistics("wide").execution_count == 0
        assert outputs(client.infer(request("wide", x=np.ones((1, 2), np.float32))))["y"].tolist() == [[1, 1]]


def test_what_nobody_asked_for_may_fail(serve: Serve, repository: Repository) -> None:
    # Zeros, which the server tries by itself, are what this model has no answer to.
    repository.onnx("picky", onnx_models.refuses_zero())
    server = serve()
    server.wait_ready()
    warning = server.wait_for("model-warm-up-failed")
    assert warning["log.level"] == "warning"
    assert warning["infermesh.model.name"] == "picky"
    assert "zeros in a batch of 1" in warning["message"]
    with Client(server.target) as client:
        found = outputs(client.infer(request("picky", x=np.array([[-1]], np.int64))))
        assert found["y"].tolist() == [[10]]
