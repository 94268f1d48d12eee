"""A model that goes wrong fails the requests it went wrong for, in words that help, and no other."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from support import onnx_models
from support.client import Client, ints, outputs, refused, request
from support.python_models import MOODY
from support.repository import Repository
from support.server import Serve

MOODS = {
    1: ["ValueError", "seven is no answer"],
    2: ["'y'", "shape [2, 1]", "expected [1, 1]"],
    3: ["'y'", "float64", "expected int32"],
    4: ["output 'y' is missing", "found 'z'"],
    5: ["infer returned list", "expected a dict"],
    6: ["output 'y' is of type list", "expected a numpy array"],
}


@pytest.mark.parametrize("mood", MOODS)
def test_the_message_says_what_the_model_did(serve: Serve, repository: Repository, mood: int) -> None:
    repository.python("moody", MOODY)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        with refused(grpc.StatusCode.INTERNAL, "moody", *MOODS[mood]):
            client.infer(request("moody", x=ints([mood])))
        assert client.statistics("moody").inference_stats.fail.count == 1
        assert outputs(client.infer(request("moody", x=ints([0]))))["y"].tolist() == [[0]]


def test_failures_among_others_stay_with_their_own_requests(serve: Serve, repository: Repository) -> None:
    repository.python("moody", MOODY, config="instance_group { count: 2 }\n")
    server = serve()
    server.wait_ready()

    def call(each: int) -> None:
        with Client(server.target) as client:
            for mood in [(each + step) % 7 for step in range(21)]:
                if mood == 0:
                    assert outputs(client.infer(request("moody", x=ints([0]))))["y"].tolist() == [[0]]
                    continue
                with refused(grpc.StatusCode.INTERNAL, *MOODS[mood]):
                    client.infer(request("moody", x=ints([mood])))

    with ThreadPoolExecutor(8) as callers:
        for done in [callers.submit(call, each) for each in range(8)]:
            done.result()


def test_text_with_a_zero_byte_shares_a_batch_unharmed(serve: Serve, repository: Repository) -> None:
    # Both requests are held until they fill one batch.
    config = "max_batch_size: 2\ndynamic_batching { max_queue_delay_microseconds: 60000000 }\n"
    repository.onnx("text", onnx_models.identity("BYTES", ("n", 1)), config=config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        texts = [b"fine", b"zero\0byte"]
        calls = [client.start(request("text", x=np.array([[text]], dtype=object))) for text in texts]
        for text, call in zip(texts, calls, strict=True):
            assert outputs(call.result())["y"].tolist() == [[text]]
