"""Trains a 64-64-10 perceptron on scikit-learn's handwritten digits and writes it as a model repository."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

SEED = 7
HELD_OUT = 0.25
MODEL_NAME = "digits"

#: The operator set of ONNX 1.12, which every ONNX Runtime of the last years runs.
OPSET = 17

CONFIG = f"""\
# Inputs and outputs are completed from model.onnx: image FP32 [64] with pixels from 0 to 1, label INT64,
# probabilities FP32 [10].
name: "{MODEL_NAME}"
backend: "onnxruntime"
max_batch_size: 64
dynamic_batching {{}}
"""


@dataclass(frozen=True)
class Trained:
    """A model beside the images it has never seen; pixels run from 0 to 1."""

    classifier: Any
    #: FP32 [n, 64], row by row from the top left of 8 x 8 pixels.
    images: NDArray[np.float32]
    #: INT64 [n]: what each image shows.
    labels: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """The share, from 0 to 1, of held-out images that scikit-learn names rightly."""
        return float(np.mean(self.classifier.predict(self.images) == self.labels))


def train() -> Trained:
    """Fit on three quarters of the 1,797 images and hold the rest out; the same every time."""
    data = load_digits()
    pixels = (data.data / 16).astype(np.float32)
    fit_images, images, fit_labels, labels = train_test_split(
        pixels, data.target.astype(np.int64), test_size=HELD_OUT, random_state=SEED, stratify=data.target
    )
    classifier = MLPClassifier(hidden_layer_sizes=(64,), max_iter=400, random_state=SEED)
    # On matrices this small the threads of a BLAS wait for one another ten times longer than they compute.
    with threadpool_limits(1):
        classifier.fit(fit_images, fit_labels)
    return Trained(classifier, images, labels)


def write_repository(trained: Trained, repository: Path) -> Path:
    """Write digits/config.pbtxt and digits/1/model.onnx below ``repository``; returns the model file."""
    # Without this option probabilities would leave as a sequence of maps, which is no tensor.
    options = {id(trained.classifier): {"zipmap": False}}
    model = convert_sklearn(
        trained.classifier,
        initial_types=[("image", FloatTensorType([None, 64]))],
        options=options,
        target_opset=OPSET,
    )
    file = repository / MODEL_NAME / "1" / "model.onnx"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(model.SerializeToString())
    (repository / MODEL_NAME / "config.pbtxt").write_text(CONFIG)
    return file


def main() -> None:
    """Train and write; the repository can then be served with ``infermesh serve``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path, nargs="?", default=Path("out/digits"))
    repository: Path = parser.parse_args().repository
    trained = train()
    file = write_repository(trained, repository)
    print(f"{trained.accuracy:.1%} of {len(trained.labels)} held-out images; wrote {file}")
    print(f"Serve it: infermesh serve {repository}")


if __name__ == "__main__":
    main()
