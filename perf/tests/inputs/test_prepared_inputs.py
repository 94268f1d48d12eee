from pathlib import Path

import numpy as np
import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.options import PAYLOAD_BYTES, PAYLOADS, DataOptions
from infermesh_perf.inputs.prepare import prepare
from infermesh_perf.target.model import ModelSpec, TensorSpec
from infermesh_perf.target.tensors import to_raw
from support.load_models import model


def test_random_requests_differ() -> None:
    made = prepare(model(), DataOptions(batch=3, seed=5))

    assert (made.batch, made.source, made.recorded) == (3, "random, seed 5", False)
    assert len(made.samples) == PAYLOADS
    assert {sample.inputs["x"].shape for sample in made.samples} == {(3, 4)}
    assert len({to_raw(sample.inputs["x"]) for sample in made.samples}) == PAYLOADS
    assert len(prepare(model(), DataOptions(payloads=3)).samples) == 3


def test_large_requests_are_fewer() -> None:
    row = PAYLOAD_BYTES // 4 // 3

    assert len(prepare(model(TensorSpec("x", "FP32", (row,))), DataOptions()).samples) == 3
    assert len(prepare(model(TensorSpec("x", "UINT8", (PAYLOAD_BYTES + 1,))), DataOptions()).samples) == 1


def test_zeros_are_sent_once() -> None:
    made = prepare(model(), DataOptions(data="zero", batch=2))

    assert made.source == "zero"
    assert [sample.inputs["x"].tolist() for sample in made.samples] == [[[0] * 4] * 2]


def test_a_file_with_answers_in_another(tmp_path: Path) -> None:
    x, y = np.arange(12, dtype=np.float32).reshape(3, 4), np.arange(3, dtype=np.float32).reshape(3, 1)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "y.npz", y=y)

    made = prepare(model(), DataOptions(data=str(tmp_path / "x.npy"), batch=2, validate=tmp_path / "y.npz"))

    assert (made.recorded, made.source) == (True, str(tmp_path / "x.npy"))
    assert [sample.inputs["x"].tolist() for sample in made.samples] == [
        x[:2].tolist(),
        x[[2, 0]].tolist(),
    ]
    assert [sample.expected["y"].ravel().tolist() for sample in made.samples] == [[0, 1], [2, 0]]


def test_answers_to_zeros(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.zeros(4, np.float32))

    (sample,) = prepare(model(), DataOptions(data="zero", validate=tmp_path / "y.npy")).samples

    assert sample.expected["y"].tolist() == [[0] * 4]


def test_answers_that_are_too_few(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 4), np.float32))
    np.save(tmp_path / "y.npy", np.ones((2, 1), np.float32))
    with pytest.raises(SetupError, match=r"found 2 samples, expected 3 samples, as are sent"):
        prepare(model(), DataOptions(data=str(tmp_path / "x.npy"), validate=tmp_path / "y.npy"))


def test_answers_in_two_places(tmp_path: Path) -> None:
    for name, size in (("x", 4), ("y", 1)):
        (tmp_path / name).write_bytes(np.ones(size, "<f4").tobytes())
    with pytest.raises(SetupError, match="expected one place for them"):
        prepare(model(), DataOptions(data=str(tmp_path), validate=tmp_path))


@pytest.mark.parametrize(
    ("of_model", "options", "said"),
    [
        (ModelSpec("m", (), ()), DataOptions(), "has no inputs in its metadata"),
        (model(TensorSpec("x", "FP32", (-1,))), DataOptions(), "expected a size for it"),
        (model(), DataOptions(shapes={"z": (1,)}), "no input 'z'"),
        (model(), DataOptions(batch=9), "at most 8"),
        (model(), DataOptions(payloads=0), "expected at least 1"),
        (model(), DataOptions(string_length=-1), "--string-length: found -1"),
        (model(), DataOptions(string_length=1, string_data="a"), "--string-length is without effect"),
        (model(), DataOptions(data="zero", payloads=2), "without effect on zeros"),
        (model(), DataOptions(data="x.npy", string_data="a"), "--string-data is without effect"),
        (model(), DataOptions(data="x.npy", string_length=1), "--string-length is without effect"),
        (model(), DataOptions(validate=Path("y.npy")), "cannot know the answers to random inputs"),
        (model(), DataOptions(data="absent.npy"), "absent.npy does not exist, expected random, zero"),
    ],
)
def test_options_that_do_not_fit(of_model: ModelSpec, options: DataOptions, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        prepare(of_model, options)
