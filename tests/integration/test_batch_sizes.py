"""A batch is filled up to the next size that the model's parameter allows; callers see nothing of it."""

import grpc
import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, ints, outputs, refused, request
from support.python_models import COUNTING
from support.repository import Repository
from support.server import Serve


def allowed(sizes: str) -> str:
    return f'parameters {{ key: "allowed_batch_sizes" value {{ string_value: "{sizes}" }} }}\n'


@pytest.mark.parametrize(("rows", "padded"), [(1, 2), (2, 2), (3, 8), (8, 8)])
def test_the_model_sees_only_allowed_sizes(
    serve: Serve, repository: Repository, rows: int, padded: int
) -> None:
    repository.python("counting", COUNTING, config="max_batch_size: 8\n" + allowed("2,8"))
    server = serve()
    server.wait_ready()
    sent = ints(*([row] for row in range(rows)))
    with Client(server.target) as client:
        found = outputs(client.infer(request("counting", x=sent)))
        assert found["y"].tolist() == sent.tolist()
        assert found["rows"].tolist() == [[padded]] * rows
        assert client.statistics("counting").inference_count == rows


def test_requests_that_share_a_batch_get_their_own_rows(serve: Serve, repository: Repository) -> None:
    # Held for company until three rows are there, which then run as four.
    dynamic = "dynamic_batching { preferred_batch_size: 3 max_queue_delay_microseconds: 60000000 }\n"
    repository.python("counting", COUNTING, config="max_batch_size: 8\n" + dynamic + allowed("4,8"))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        calls = [
            client.start(request("counting", x=ints([7]))),
            client.start(request("counting", x=ints([8], [9]))),
        ]
        answers = [outputs(call.result()) for call in calls]
        assert [answer["y"].tolist() for answer in answers] == [[[7]], [[8], [9]]]
        assert [answer["rows"].tolist() for answer in answers] == [[[4]], [[4], [4]]]
        found = client.statistics("counting")
        assert (found.inference_count, found.execution_count) == (3, 1)


def test_an_onnx_model_answers_as_it_does_alone(serve: Serve, repository: Repository) -> None:
    config = "max_batch_size: 8\n" + allowed("1,4,8")
    repository.onnx("scale", onnx_models.scale(3.0), config=config)
    repository.onnx("text", onnx_models.identity("BYTES", ("n", 2)), config=config)
    server = serve()
    server.wait_ready()
    text = np.array([[b"a", b"bc"], [b"", b"d\0e"], [b"f", b"ghi"]], dtype=object)
    with Client(server.target) as client:
        found = outputs(client.infer(request("scale", x=floats(3, 4))))
        np.testing.assert_array_equal(found["y"], 3 * floats(3, 4))
        assert outputs(client.infer(request("text", x=text)))["y"].tolist() == text.tolist()
        served = client.inference.ModelConfig(pb.ModelConfigRequest(name="scale"), timeout=SECONDS)
        assert served.config.parameters["allowed_batch_sizes"].string_value == "1,4,8"


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ("1,x", "found '1,x', expected numbers of at least 1 between commas"),
        ("4,2,8", "found '4,2,8', expected sizes in ascending order, each once"),
        ("1,4", "found '1,4', expected max_batch_size, which is 8, as the last"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    serve: Serve, repository: Repository, sizes: str, expected: str
) -> None:
    repository.onnx("scale", onnx_models.scale(3.0), config="max_batch_size: 8\n" + allowed(sizes))
    server = serve("--no-strict-readiness")
    server.wait_ready()
    with Client(server.target) as client:
        state, reason = client.index()["scale", "1"]
        assert state == "UNAVAILABLE"
        assert f"allowed_batch_sizes: {expected}" in reason
        with refused(grpc.StatusCode.NOT_FOUND, "no available versions"):
            client.infer(request("scale", x=floats(1, 4)))
