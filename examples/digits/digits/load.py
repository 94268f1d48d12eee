"""Sends images to a server from several callers at once, one image per request, and keeps every answer."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import aio

from digits.train import MODEL_NAME

DEADLINE_SECONDS = 10.0


@dataclass(frozen=True)
class Answers:
    """What came back; for an image that was sent several times, its last answer."""

    #: INT64 [n] and FP32 [n, 10], by image.
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    #: Requests whose label was not the one expected.
    mismatches: int
    #: Seconds from sending to answer, one per request.
    latencies: NDArray[np.float64]
    #: Seconds from the first request to the last answer.
    duration: float
    #: Batch size to how many batches of that size the server ran.
    batches: dict[int, int]

    @property
    def throughput(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.duration

    def percentile(self, share: float) -> float:
        """Return the latency, in milliseconds, that ``share`` percent of the requests stayed within."""
        return float(np.percentile(self.latencies, share) * 1000)


async def ask(
    address: str,
    images: NDArray[np.float32],
    expected: NDArray[np.int64],
    *,
    callers: int,
    seconds: float,
    progress: Callable[[float], None] = lambda _: None,
) -> Answers:
    """Send every image at least once, then again from the first until ``seconds`` have passed.

    ``images`` [n, 64], ``expected`` [n]. ``progress`` is told the seconds gone by. Raises tritonclient's
    InferenceServerException if the server is not ready or refuses a request.
    """
    labels = np.full(len(images), -1, np.int64)
    probabilities = np.zeros((len(images), 10), np.float32)
    latencies: list[float] = []
    mismatches = 0
    turn = 0

    async with aio.InferenceServerClient(address) as client:
        if not await client.is_server_ready(client_timeout=DEADLINE_SECONDS):
            raise RuntimeError(f"the server at {address} says that it is not ready")
        started = time.monotonic()

        async def call() -> None:
            nonlocal turn, mismatches
            while turn < len(images) or time.monotonic() - started < seconds:
                index = turn % len(images)
                turn += 1
                sent = time.monotonic()
                result = await client.infer(
                    MODEL_NAME, [_input(images[index])], client_timeout=DEADLINE_SECONDS
                )
                answered = time.monotonic()
                latencies.append(answered - sent)
                labels[index] = result.as_numpy("label").reshape(-1)[0]
                probabilities[index] = result.as_numpy("probabilities").reshape(-1)
                mismatches += int(labels[index] != expected[index])
                progress(min(answered - started, seconds))

        await asyncio.gather(*(call() for _ in range(callers)))
        duration = time.monotonic() - started
        batches = _batches(await client.get_inference_statistics(MODEL_NAME, as_json=True))
    return Answers(labels, probabilities, mismatches, np.array(latencies), duration, batches)


def _input(image: NDArray[np.float32]) -> aio.InferInput:
    tensor = aio.InferInput("image", [1, 64], "FP32")
    tensor.set_data_from_numpy(image.reshape(1, 64))
    return tensor


def _batches(statistics: dict[str, Any]) -> dict[int, int]:
    # JSON of protobuf: 64-bit numbers are strings, and a zero is left out.
    (model,) = statistics["model_stats"]
    sizes = {
        int(batch["batch_size"]): int(batch["compute_infer"]["count"])
        for batch in model.get("batch_stats", [])
    }
    return dict(sorted(sizes.items()))
