"""Requests that wait for functions, without a data plane."""

import json
import queue
import threading
import time
from typing import Any

SECONDS = 20.0


class FakeHook:
    """See ``infermesh_native.Hook``."""

    def __init__(self, function: str, inputs: list[dict[str, Any]] | None = None, **fields: Any) -> None:
        call = {
            "function": function,
            "rule": "risk",
            "model": "fraud",
            "inputs": inputs or [],
            "fields": fields,
        }
        self.call: bytes | None = json.dumps(call).encode()
        self.wanted = True
        self._replied = threading.Event()
        self._reply = b""

    def reply(self, reply: bytes) -> None:
        assert not self._replied.is_set(), "it is answered twice"
        self.call = None
        self.wanted = False
        self._reply = reply
        self._replied.set()

    @property
    def is_answered(self) -> bool:
        return self._replied.is_set()

    def answer(self) -> Any:
        """What it was answered, as soon as it is."""
        assert self._replied.wait(SECONDS), "it is not answered"
        return json.loads(self._reply)


class FakeProxy:
    """See ``infermesh_native.Proxy``: hands out what a test asks."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[list[FakeHook]] = queue.SimpleQueue()
        self.looks = 0
        self.ended = False

    def ask(self, *hooks: FakeHook) -> None:
        """These are taken at once."""
        self._waiting.put(list(hooks))

    def take_hooks(self, timeout: float) -> list[FakeHook]:
        self.looks += 1
        if self.ended:
            return []
        end = time.monotonic() + timeout
        try:
            return self._waiting.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            return []
