"""Requests of different shapes share a batch: each is padded to the largest, and cut down again after it."""

from typing import Any

import grpc
import numpy as np
import pytest
from support import onnx_models
from support.client import Client, ints, outputs, refused, request
from support.company import full_at, together
from support.gate import Gate
from support.python_models import SEEN
from support.repository import Repository
from support.rest import HTTP
from support.server import Serve


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


ATTENTION = """
input { name: "ids" data_type: TYPE_INT64 dims: -1 allow_ragged_batch: true }
input { name: "mask" data_type: TYPE_INT64 dims: -1 allow_ragged_batch: true }
output { name: "pooled" data_type: TYPE_INT64 dims: 2 }
output { name: "tokens" data_type: TYPE_INT64 dims: [ -1, 2 ] }
"""
#: No token is 77, and padding does not count.
PADDED = parameter("ragged_padding", "0") + parameter("ragged_padding.ids", "77")
CUT = 'batch_output { target_name: "tokens" kind: BATCH_SCATTER_WITH_INPUT_SHAPE source_input: "ids" }\n'

ROWS = """
max_batch_size: 8
dynamic_batching {}
input { name: "x" data_type: TYPE_INT32 dims: -1 allow_ragged_batch: true }
output { name: "y" data_type: TYPE_INT32 dims: -1 }
"""


def tokens(*rows: list[int]) -> dict[str, Any]:
    ids = np.array(rows, np.int64)
    return {"ids": ids, "mask": np.ones_like(ids)}


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_an_onnx_model_gets_an_ordinary_batch(serve: Serve, repository: Repository, kind: str) -> None:
    repository.onnx("m", onnx_models.attention(), config=full_at(4) + ATTENTION + PADDED + CUT)
    server = serve(*HTTP)
    server.wait_ready()
    sent = [tokens([1, 2, 3]), tokens([4], [5]), tokens([6, 7, 8, 9, 10])]
    for inputs, answer in zip(sent, together(kind, server, "m", sent), strict=True):
        ids = inputs["ids"]
        pooled = [[ids.shape[1], row.sum()] for row in ids]
        assert answer.as_numpy("pooled").tolist() == pooled
        np.testing.assert_array_equal(answer.as_numpy("tokens"), np.stack([ids, ids], axis=2))
    with Client(server.target) as client:
        found = client.statistics("m")
        assert (found.inference_count, found.execution_count) == (4, 1)
        assert found.inference_stats.success.count == 3


def test_what_is_not_to_be_cut_comes_padded(serve: Serve, repository: Repository) -> None:
    repository.onnx("m", onnx_models.attention(), config=full_at(2) + ATTENTION + PADDED)
    server = serve()
    server.wait_ready()
    short, long = together("grpc", server, "m", [tokens([1]), tokens([2, 3, 4])])
    assert short.as_numpy("tokens").tolist() == [[[1, 1], [77, 77], [77, 77]]]
    assert long.as_numpy("tokens").shape == (1, 3, 2)


def test_a_request_alone_is_not_padded(serve: Serve, repository: Repository) -> None:
    config = "max_batch_size: 8\n" + ATTENTION + PADDED + CUT
    repository.onnx("m", onnx_models.attention(), config=config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        answer = outputs(client.infer(request("m", **tokens([1, 2], [3, 4]))))
        assert answer["pooled"].tolist() == [[2, 3], [2, 7]]
        assert answer["tokens"].shape == (2, 2, 2)
        # Each input has its own length, but the model wants them equal: the error is the model's.
        with refused(grpc.StatusCode.INTERNAL):
            client.infer(request("m", ids=np.ones((1, 3), np.int64), mask=np.ones((1, 2), np.int64)))


def test_padding_goes_with_batches_of_fixed_sizes(serve: Serve, repository: Repository) -> None:
    sizes = parameter("allowed_batch_sizes", "4,8")
    repository.onnx("m", onnx_models.attention(), config=full_at(2) + ATTENTION + PADDED + CUT + sizes)
    server = serve()
    server.wait_ready()
    sent = [tokens([1, 2, 3]), tokens([4])]
    for inputs, answer in zip(sent, together("grpc", server, "m", sent), strict=True):
        assert answer.as_numpy("pooled").tolist() == [[inputs["ids"].size, inputs["ids"].sum()]]
        assert answer.as_numpy("tokens").shape == (*inputs["ids"].shape, 2)


def test_a_python_model_gets_rows_and_their_lengths(serve: Serve, repository: Repository, gate: Gate) -> None:
    target = 'target_name: "shape" data_type: TYPE_INT32 source_input: "x"'
    lengths = f"batch_input {{ kind: BATCH_ITEM_SHAPE {target} }}\n"
    cut = 'batch_output { target_name: "y" source_input: "x" }\n'
    config = ROWS + parameter("ragged_padding", "-1") + lengths + cut + gate.config
    repository.python("seen", SEEN, config=config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        calls = [client.start(request("seen", x=ints([0])))]
        gate.next_batch()
        calls += [client.start(request("seen", x=ints(*rows))) for rows in ([[1, 2, 3]], [[4], [5]])]
        client.fence()
        gate.open()
        assert gate.next_batch().rows == {
            "x": [[1, 2, 3], [4, -1, -1], [5, -1, -1]],
            "shape": [[3], [1], [1]],
        }
        assert [outputs(call.result())["y"].tolist() for call in calls] == [[[0]], [[1, 2, 3]], [[4], [5]]]


def test_text_is_padded_with_text(serve: Serve, repository: Repository) -> None:
    config = (
        full_at(2)
        + """
input { name: "x" data_type: TYPE_STRING dims: -1 allow_ragged_batch: true }
output { name: "y" data_type: TYPE_STRING dims: -1 }
"""
    )
    repository.onnx(
        "text",
        onnx_models.identity("BYTES", ("n", "m")),
        config=config + parameter("ragged_padding", "[PAD]"),
    )
    server = serve()
    server.wait_ready()
    sent: list[dict[str, Any]] = [{"x": np.array([row], np.object_)} for row in ([b"a"], [b"", b"bcd"])]
    short, long = together("grpc", server, "text", sent)
    assert short.as_numpy("y").tolist() == [[b"a", b"[PAD]"]]
    assert long.as_numpy("y").tolist() == [[b"", b"bcd"]]


def test_what_would_be_mostly_padding_waits_for_its_own_batch(
    serve: Serve, repository: Repository, gate: Gate
) -> None:
    # To pad six rows to the length of the seventh would cost 6 x 12 MiB.
    repository.python("seen", SHAPES, config=ROWS + parameter("ragged_padding", "0") + gate.config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        calls = [client.start(request("seen", x=ints([0])))]
        gate.next_batch()
        calls += [client.start(request("seen", x=ints([1]))) for _ in range(6)]
        client.fence()
        calls.append(client.start(request("seen", x=np.zeros((1, 3 << 20), np.int32))))
        client.fence()
        gate.open()
        assert [batch.rows for batch in gate.batches(2)] == [[6, 1], [1, 3 << 20]]
        assert all(call.result() for call in calls)


#: Reports the shape of its batch only.
SHAPES = SEEN.replace(
    "{name: array.tolist() for name, array in batch.items()}", 'list(batch["x"].shape)'
).replace("next(iter(batch.values()))", 'batch["x"]')


def test_a_sequence_may_have_steps_of_any_length(serve: Serve, repository: Repository, gate: Gate) -> None:
    sequences = (
        "sequence_batching { max_sequence_idle_microseconds: 60000000"
        " oldest { max_candidate_sequences: 8 max_queue_delay_microseconds: 3600000000"
        " preferred_batch_size: 2 } }\n"
    )
    config = ROWS.replace("dynamic_batching {}\n", sequences) + parameter("ragged_padding", "9")
    repository.python("seen", SEEN, config=config + gate.config)
    server = serve()
    server.wait_ready()
    gate.open()
    with Client(server.target) as client:

        def start(sequence: int, row: list[int]) -> Any:
            message = request("seen", x=ints(row))
            message.parameters["sequence_id"].int64_param = sequence
            message.parameters["sequence_start"].bool_param = True
            return client.start(message)

        calls = [start(1, [1]), start(2, [2, 3])]
        assert gate.next_batch().rows == {"x": [[1, 9], [2, 3]]}
        assert [outputs(call.result())["y"].shape for call in calls] == [(1, 2), (1, 2)]
