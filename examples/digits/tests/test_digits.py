"""The example's own parts: training, export, the page; serving is checked by the integration tests."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from digits.demo import check, summary
from digits.load import Answers
from digits.page import png, write_page
from digits.train import Trained, train, write_repository


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train()


def answers(trained: Trained) -> Answers:
    """What a server without a mistake would say."""
    return Answers(
        labels=trained.classifier.predict(trained.images),
        probabilities=trained.classifier.predict_proba(trained.images).astype(np.float32),
        mismatches=0,
        latencies=np.full(len(trained.images), 0.002),
        duration=2.0,
        batches={1: 3, 8: 20},
    )


def test_the_model_is_good_enough_on_images_it_never_saw(trained: Trained) -> None:
    assert trained.accuracy >= 0.95
    assert trained.images.dtype == np.float32
    assert len(trained.images) == 450
    assert set(np.bincount(trained.labels)) <= {43, 44, 45, 46}


def test_the_repository_is_one_that_infermesh_serves(trained: Trained, tmp_path: Path) -> None:
    from infermesh_servers.model.repository import scan

    write_repository(trained, tmp_path)
    entry = scan(tmp_path)["digits"]
    assert not entry.problems
    assert entry.backend == "onnxruntime"
    assert entry.config is not None
    assert entry.config.max_batch_size == 64


def test_onnx_runtime_says_what_scikit_learn_says(trained: Trained, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    runtime = onnxruntime.InferenceSession(write_repository(trained, tmp_path))
    assert [output.name for output in runtime.get_outputs()] == ["label", "probabilities"]
    label, probabilities = runtime.run(None, {"image": trained.images})
    assert (label == trained.classifier.predict(trained.images)).all()
    np.testing.assert_allclose(probabilities, trained.classifier.predict_proba(trained.images), atol=1e-5)


def test_right_answers_pass_and_are_summed_up(trained: Trained) -> None:
    assert check(trained, answers(trained)) == []
    lines = "\n".join(summary(trained, answers(trained), 32))
    assert "225 requests/s" in lines
    assert "p50 2.00" in lines
    assert "Batches: 23, mean size 7.1, largest 8, most often 8 (87%), 1 (13%)" in lines


def test_wrong_answers_are_told(trained: Trained) -> None:
    wrong = Answers(
        labels=(trained.labels + 1) % 10,
        probabilities=np.zeros((len(trained.labels), 10), np.float32),
        mismatches=450,
        latencies=np.ones(450),
        duration=1.0,
        batches={},
    )
    problems = " ".join(check(trained, wrong))
    assert "450 answers differ" in problems
    assert "only 0.0% of the images" in problems
    assert "a probability is" in problems


def test_the_page_marks_what_is_wrong_and_puts_it_first(trained: Trained, tmp_path: Path) -> None:
    said = answers(trained)
    predicted = trained.labels.copy()
    predicted[7] = (predicted[7] + 1) % 10
    page = tmp_path / "new" / "digits.html"
    write_page(page, ["a < b"], trained.images, trained.labels, predicted, said.probabilities)
    text = page.read_text()
    assert text.count("<figure") == 450
    assert text.count('class="wrong"') == 1
    assert text.index('class="wrong"') < text.index('class="right"')
    assert "a &lt; b" in text


def test_a_picture_is_a_png_of_its_pixels() -> None:
    data = png(np.array([[0, 1], [1, 0]], np.float32))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    length = int.from_bytes(data[33:37])
    assert zlib.decompress(data[41 : 41 + length]) == b"\x00\xff\x00\x00\x00\xff"
