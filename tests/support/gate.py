"""Holds a Python model in the middle of a batch, for as long as a test wants."""

import contextlib
import json
import os
import select
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Batch:
    """What a model was called with, and which of its instances it was."""

    instance: int
    rows: Any


class Gate:
    """Two FIFOs that a ``GATED`` model opens: through one it reports a batch, at the other it waits."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        for name in ("entered", "go"):
            os.mkfifo(folder / name)
        # Both ways, so that opening waits for nobody and an end that closes is no end of file.
        self._entered = os.open(folder / "entered", os.O_RDWR | os.O_NONBLOCK)
        self._go = os.open(folder / "go", os.O_RDWR | os.O_NONBLOCK)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._entered)
        os.close(self._go)

    @property
    def config(self) -> str:
        """The lines of config.pbtxt that tell a model of this gate."""
        return f'parameters {{ key: "gate" value {{ string_value: "{self.folder}" }} }}\n'

    def next_batch(self, seconds: float = 20) -> Batch:
        """The next batch that a model was called with; fails if none comes in time."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._entered], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"no batch reached the model within {seconds} s"
            self._rest += os.read(self._entered, 65536)
        line, _, self._rest = self._rest.partition(b"\n")
        return Batch(**json.loads(line))

    def let(self, batches: int = 1) -> None:
        """Let so many batches through, now or when they come."""
        os.write(self._go, b"." * batches)

    def open(self) -> None:
        """Let everything through from now on."""
        # A pipe that is full of permissions needs no more.
        with contextlib.suppress(BlockingIOError):
            self.let(50_000)

    def batches(self, count: int) -> list[Batch]:
        """The next so many batches."""
        return [self.next_batch() for _ in range(count)]
