"""The fraud model behind a real server, asked as any client of the v2 protocol would."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from checkout.data import Document
from checkout.features import INPUTS, columns
from checkout.train import MODEL_NAME, Trained
from support.server import LOOPBACK, Server, serving
from tritonclient import grpc


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[Server]:
    with serving(repository, *LOOPBACK) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[grpc.InferenceServerClient]:
    with grpc.InferenceServerClient(server.target) as client:
        yield client


def inputs(documents: Sequence[Document]) -> list[grpc.InferInput]:
    values = columns(documents)
    tensors = []
    for each in INPUTS:
        tensor = grpc.InferInput(each.name, [len(documents), 1], each.datatype)
        tensor.set_data_from_numpy(values[each.name])
        tensors.append(tensor)
    return tensors


@pytest.mark.parametrize("rows", [1, 64])
def test_the_server_scores_orders_as_scikit_learn_does(
    rows: int, client: grpc.InferenceServerClient, trained: Trained
) -> None:
    for first in range(0, 256, rows):
        documents = trained.held_out.documents[first : first + rows]
        said = client.infer(MODEL_NAME, inputs(documents), client_timeout=20).as_numpy("score")
        assert said.shape == (rows, 1)
        assert said.dtype == np.float32
        np.testing.assert_allclose(said[:, 0], trained.scores[first : first + rows], atol=1e-5)


def test_the_metadata_names_what_a_rule_has_to_fill(client: grpc.InferenceServerClient) -> None:
    metadata = client.get_model_metadata(MODEL_NAME, client_timeout=20)
    taken = [(each.name, each.datatype, list(each.shape)) for each in metadata.inputs]
    assert taken == [(each.name, each.datatype, [-1, 1]) for each in INPUTS]
    (score,) = metadata.outputs
    assert (score.name, score.datatype, list(score.shape)) == ("score", "FP32", [-1, 1])
