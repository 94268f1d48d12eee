"""A mixed load for a while: the server's memory is flat, and it ends as it began.

``INFERMESH_SOAK_SECONDS`` sets how long; a minute by default.
"""

import os
import random
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from support import onnx_models
from support.client import Client, ints, outputs, refused, request
from support.python_models import MOODY, REVERSE
from support.repository import Repository
from support.server import Serve

SECONDS = float(os.environ.get("INFERMESH_SOAK_SECONDS", "60"))

#: Memory settles while every path is taken for the first times.
WARM_UP = 0.15
SAMPLE_SECONDS = 0.25

#: Below what leaking one small request in a hundred would add up to.
ALLOWED_GROWTH = 8 << 20


def good(client: Client, chance: random.Random) -> None:
    x = np.full((chance.randint(1, 8), chance.choice([1, 64, 4096])), chance.randrange(100), np.float32)
    assert np.array_equal(outputs(client.infer(request("scale", x=x)))["y"], 3 * x)


def python(client: Client, chance: random.Random) -> None:
    text = chance.randbytes(chance.randint(0, 2000))
    (row,) = outputs(client.infer(request("reverse", x=np.array([[text]], dtype=object))))["y"]
    assert row[0] == text[::-1]


def bad(client: Client, chance: random.Random) -> None:
    wrong = [
        request("absent", x=ints([0])),
        request("scale", x=ints([0])),
        request("scale", z=np.zeros((1, 1000), np.float32)),
        request("moody", x=ints([chance.randint(1, 6)])),
    ]
    with pytest.raises(grpc.RpcError):
        client.infer(chance.choice(wrong))


def cancelled(client: Client, chance: random.Random) -> None:
    call = client.inference.ModelInfer.future(
        request("slow", x=np.zeros((chance.randint(1, 4), 256), np.float32)), timeout=20
    )
    call.cancel()


def out_of_time(client: Client, chance: random.Random) -> None:
    message = request("slow", x=np.zeros((8, 256), np.float32))
    call = client.inference.ModelInfer.future(message, timeout=chance.choice([1e-6, 1e-3]))
    # The model may be quicker, and the server may foresee that it is not.
    if call.code() == grpc.StatusCode.UNAVAILABLE:
        assert "would miss its deadline" in call.details()
    else:
        assert call.code() in (grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED)


def stream(client: Client, chance: random.Random) -> None:
    x = np.full((1, 64), chance.randrange(100), np.float32)
    requests = [request("scale" if each % 5 else "absent", id_=str(each), x=x) for each in range(20)]
    answers = client.stream(requests)
    for each, answer in enumerate(answers):
        assert answer.infer_response.id == str(each)
        assert bool(answer.error_message) == (each % 5 == 0)
        if each == 10 and chance.random() < 0.3:
            answers.cancel()
            return


def reconnected(client: Client, chance: random.Random, target: str) -> None:
    assert client
    with Client(target) as another:
        good(another, chance)


@pytest.mark.timeout(SECONDS + 90)
def test_memory_is_flat_under_a_mixed_load(serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0, ("n", "m")))
    repository.onnx("slow", onnx_models.matmul_chain(256, 4))
    repository.python("reverse", REVERSE)
    repository.python("moody", MOODY)
    server = serve()
    server.wait_ready()
    target = server.target
    over = threading.Event()
    failures: list[BaseException] = []
    counts: dict[str, int] = {}
    kinds: list[Callable[[Client, random.Random], None]] = [
        good,
        python,
        bad,
        cancelled,
        out_of_time,
        stream,
        lambda client, chance: reconnected(client, chance, target),
    ]

    def load(seed: int) -> None:
        chance = random.Random(seed)
        try:
            with Client(target) as client:
                while not over.is_set():
                    kind = chance.choices(kinds, [8, 4, 4, 4, 2, 2, 1])[0]
                    kind(client, chance)
                    counts[kind.__name__] = counts.get(kind.__name__, 0) + 1
        except BaseException as error:
            failures.append(error)
            over.set()

    callers = [threading.Thread(target=load, args=(seed,)) for seed in range(6)]
    for caller in callers:
        caller.start()
    samples: list[int] = []
    try:
        end = time.monotonic() + SECONDS
        over.wait(SECONDS * WARM_UP)
        while time.monotonic() < end and not over.wait(SAMPLE_SECONDS):
            samples.append(server.resident_bytes())
    finally:
        over.set()
        for caller in callers:
            caller.join(30)
    assert not failures, failures[0]
    assert all(counts.get(kind.__name__, 0) > 10 for kind in kinds), counts

    third = len(samples) // 3
    first, last = statistics.median(samples[:third]), statistics.median(samples[-third:])
    megabytes = [round(sample / 2**20, 1) for sample in samples[:: max(len(samples) // 20, 1)]]
    assert last - first <= ALLOWED_GROWTH, megabytes

    # Connections leave nothing behind: what is open are a few dozen descriptors, whatever has been.
    with Client(target) as client, refused(grpc.StatusCode.NOT_FOUND):
        client.infer(request("absent", x=ints([0])))
    assert len(list(Path(f"/proc/{server.pid}/fd").iterdir())) < 64
    assert server.stop() == 0
