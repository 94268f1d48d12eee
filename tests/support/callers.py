"""Requests of one row each to a gated model, made with tritonclient: over gRPC, or over HTTP in a thread."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from support.rest import SECONDS, Rest, triton_client
from support.server import Server

MODEL = "gated"

#: What a request was answered, or the message of its error.
Outcome = Future[int | str]


class Callers:
    """Each request waits at the gated model, or is refused, when the call that sends it returns."""

    def __init__(self, server: Server, grpc: Any, threads: ThreadPoolExecutor, model: str) -> None:
        self._server = server
        self._grpc = grpc
        self._threads = threads
        self._model = model

    @property
    def target(self) -> str:
        """Where other gRPC clients find the server."""
        return self._server.target

    def grpc(self, value: int, **options: Any) -> Outcome:
        """Send over gRPC; options are those of tritonclient's ``async_infer``."""
        outcome: Outcome = Future()

        def done(result: Any, error: Any) -> None:
            outcome.set_result(error.message() if error else int(result.as_numpy("y")[0, 0]))

        tensor = _tensor(tritonclient.grpc, value)
        return self._waiting(lambda: self._grpc.async_infer(self._model, [tensor], done, **options), outcome)

    def http(self, value: int, **options: Any) -> Outcome:
        """Send over HTTP; options are those of tritonclient's ``infer``."""
        outcome: Outcome = Future()

        def call() -> None:
            try:
                with triton_client(self._server.http_port) as client:
                    result = client.infer(self._model, [_tensor(tritonclient.http, value)], **options)
                outcome.set_result(int(result.as_numpy("y")[0, 0]))
            except InferenceServerException as error:
                outcome.set_result(str(error.message()))

        return self._waiting(lambda: self._threads.submit(call), outcome)

    def pending(self) -> int:
        """Requests that wait at the gated model."""
        with Rest(self._server.metrics_port) as rest:
            text = rest.get("/metrics").body.decode()
        (found,) = re.findall(rf'^nv_inference_pending_request_count{{model="{MODEL}".*}} (\d+)', text, re.M)
        return int(found)

    def _waiting(self, send: Callable[[], Any], outcome: Outcome) -> Outcome:
        before = self.pending()
        send()
        deadline = time.monotonic() + SECONDS
        while self.pending() == before and not outcome.done():
            assert time.monotonic() < deadline, "the request did not reach the model"
        return outcome


@contextmanager
def callers(server: Server, model: str = MODEL) -> Iterator[Callers]:
    """Of a server with metrics and HTTP, for as long as the block lasts; ``model`` leads to the gated one."""
    with ThreadPoolExecutor() as threads, tritonclient.grpc.InferenceServerClient(server.target) as grpc:
        yield Callers(server, grpc, threads, model)


def _tensor(module: Any, value: int) -> Any:
    tensor = module.InferInput("x", [1, 1], "INT32")
    tensor.set_data_from_numpy(np.array([[value]], np.int32))
    return tensor
