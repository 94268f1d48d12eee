"""The fraud model: good on orders it never saw, and the same in ONNX as in scikit-learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from checkout import train as training
from checkout.data import Document
from checkout.features import INPUTS, columns, matrix
from checkout.story import scores
from checkout.train import Trained, ensure_repository, model_file


def test_the_model_is_good_enough_on_orders_it_never_saw(trained: Trained) -> None:
    quality = trained.quality
    assert quality.auc > 0.95
    assert quality.auc <= quality.ceiling + 0.002
    assert quality.fraud_held > 0.5
    assert quality.honest_held < 0.01


def test_a_score_is_a_probability(trained: Trained) -> None:
    """Among orders that score about the same, that share is fraud: what the shop's 0.8 relies on."""
    for low in np.arange(0, 1, 0.2):
        there = (trained.scores >= low) & (trained.scores < low + 0.2)
        chance = trained.scores[there]
        spread = np.sqrt((chance * (1 - chance)).sum())
        assert abs(trained.held_out.fraud[there].sum() - chance.sum()) < 4 * spread


def test_onnx_runtime_says_what_scikit_learn_says(trained: Trained, repository: Path) -> None:
    said = scores(model_file(repository), trained.held_out.documents)
    np.testing.assert_allclose(said, trained.scores, atol=1e-5)


def test_the_graph_takes_fields_of_an_order_and_gives_one_number(repository: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(model_file(repository))
    types = {"FP32": "tensor(float)", "BYTES": "tensor(string)"}
    taken = [(each.name, each.type, each.shape) for each in session.get_inputs()]
    assert taken == [(each.name, types[each.datatype], ["N", 1]) for each in INPUTS]
    assert [(each.name, each.shape) for each in session.get_outputs()] == [("score", ["N", 1])]
    model = onnx.load(model_file(repository))
    assert len({each.domain for each in model.opset_import}) == len(model.opset_import)


def test_which_country_it_is_makes_no_difference(trained: Trained, repository: Path) -> None:
    def moved(document: Document) -> Document:
        def to(country: str) -> str:
            return f"X{country[0]}" if country != "DE" else "QQ"

        return {
            **document,
            "card": {**document["card"], "country": to(document["card"]["country"])},
            "ship_to": {"country": to(document["ship_to"]["country"])},
            "ip_country": to(document["ip_country"]),
        }

    documents = trained.held_out.documents[:500]
    here = scores(model_file(repository), documents)
    there = scores(model_file(repository), [moved(document) for document in documents])
    assert (here == there).all()
    assert matrix(columns(documents))[:, 4:].any()


def test_the_repository_is_one_that_infermesh_serves(repository: Path) -> None:
    from infermesh_servers.model.repository import scan

    entry = scan(repository)["fraud"]
    assert not entry.problems
    assert entry.backend == "onnxruntime"
    assert entry.config is not None
    assert entry.config.max_batch_size == 64


def test_a_model_of_this_recipe_is_taken_and_another_one_is_not(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings = 0

    def train() -> Trained:
        nonlocal trainings
        trainings += 1
        return trained

    monkeypatch.setattr(training, "train", train)
    assert ensure_repository(tmp_path) == trained.quality
    assert ensure_repository(tmp_path) == trained.quality
    assert trainings == 1

    worse = replace(trained, scores=np.zeros_like(trained.scores))
    monkeypatch.setattr(training, "_recipe", lambda: "an older one")
    training.write_repository(worse, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(training, "train", train)
    assert ensure_repository(tmp_path) == trained.quality
    assert trainings == 2
