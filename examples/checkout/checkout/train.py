"""Trains the fraud model on invented orders and writes it as a model repository."""

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from checkout.data import Orders, generate
from checkout.export import export
from checkout.features import columns, matrix
from checkout.quality import Quality

MODEL_NAME = "fraud"
TRAINING, TRAINING_SEED = 20_000, 7
HELD_OUT, HELD_OUT_SEED = 10_000, 8

CONFIG = f"""\
# Inputs and output are completed from model.onnx: amount, card_age_days, account_age_days, session_seconds
# FP32 [1], card_country, ip_country, ship_country BYTES [1]; score FP32 [1], the probability of fraud.
name: "{MODEL_NAME}"
backend: "onnxruntime"
max_batch_size: 64
dynamic_batching {{}}
"""


@dataclass(frozen=True)
class Trained:
    """A model beside the orders it has never seen."""

    classifier: Any
    held_out: Orders
    #: FP64 [n]: the probability of fraud of each order held out.
    scores: NDArray[np.float64]

    @property
    def quality(self) -> Quality:
        """What its scores are worth."""
        return Quality.of(self.held_out, self.scores)


def train() -> Trained:
    """Fit boosted trees; the same every time."""
    fit, held_out = generate(TRAINING, TRAINING_SEED), generate(HELD_OUT, HELD_OUT_SEED)
    classifier = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=8, min_samples_leaf=40, random_state=TRAINING_SEED
    )
    # Threads wait for one another longer than they compute on as little as this.
    with threadpool_limits(1):
        classifier.fit(matrix(columns(fit.documents)), fit.fraud)
        scores = classifier.predict_proba(matrix(columns(held_out.documents)))[:, 1]
    return Trained(classifier, held_out, scores)


def write_repository(trained: Trained, repository: Path) -> Path:
    """Write fraud/config.pbtxt and fraud/1/model.onnx below ``repository``; returns the model file."""
    model = export(trained.classifier, {"quality": json.dumps(asdict(trained.quality)), "recipe": _recipe()})
    file = model_file(repository)
    file.parent.mkdir(parents=True, exist_ok=True)
    (repository / MODEL_NAME / "config.pbtxt").write_text(CONFIG)
    # In one step: half a file would be taken for a model.
    part = file.with_name(".model.onnx.part")
    part.write_bytes(model.SerializeToString())
    part.replace(file)
    return file


def ensure_repository(repository: Path) -> Quality:
    """Train and write unless what is there was made by this very recipe; returns how good the model is."""
    known = _known_quality(model_file(repository))
    if known is None:
        trained = train()
        write_repository(trained, repository)
        known = trained.quality
    return known


def model_file(repository: Path) -> Path:
    """Return where the model lies in a repository."""
    return repository / MODEL_NAME / "1" / "model.onnx"


def _known_quality(file: Path) -> Quality | None:
    if not file.exists():
        return None
    notes = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    if notes.get("recipe") != _recipe():
        return None
    return Quality(**json.loads(notes["quality"]))


def _recipe() -> str:
    """Name what a model depends on: a model of another recipe is trained anew."""
    digest = hashlib.sha256(sklearn.__version__.encode())
    for name in ("data", "features", "train", "export", "quality", "orders"):
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.hexdigest()


def main() -> None:
    """Train and write; the repository can then be served with ``infermesh serve``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path, nargs="?", default=Path("out/checkout/models"))
    repository: Path = parser.parse_args().repository
    trained = train()
    file = write_repository(trained, repository)
    print(*trained.quality.sentences(), f"Wrote {file}", sep="\n")
    print(f"Serve it: infermesh serve {repository}")


if __name__ == "__main__":
    main()
