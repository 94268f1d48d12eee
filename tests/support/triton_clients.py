"""tritonclient in its four forms, used in one way: over gRPC and HTTP, blocking and asynchronous."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from support.client import SECONDS
from support.server import Server

#: Modules of tritonclient, by the end of their names.
KINDS = ("grpc", "grpc.aio", "http", "http.aio")


class Triton:
    """One client. What it answers is what tritonclient answers, awaited where it has to be."""

    def __init__(self, kind: str, client: Any, run: Callable[[Awaitable[Any]], Any]) -> None:
        self.is_http = kind.startswith("http")
        self._module = importlib.import_module(f"tritonclient.{kind.removesuffix('.aio')}")
        self._client = client
        self._run = run

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Any method of the client."""
        answer = getattr(self._client, method)(*arguments, **options)
        return self._run(answer) if asyncio.iscoroutine(answer) else answer

    def input(self, name: str, shape: list[int], datatype: str) -> Any:
        """An input to be filled."""
        return self._module.InferInput(name, shape, datatype)

    def output(self, name: str, **options: Any) -> Any:
        """An output to be asked for."""
        return self._module.InferRequestedOutput(name, **options)

    def regions(self) -> dict[str, tuple[str, int, int]]:
        """The system's registered regions: name to key, offset and size."""
        found = self.call("get_system_shared_memory_status")
        if self.is_http:
            return {it["name"]: (it["key"], it["offset"], it["byte_size"]) for it in found}
        return {name: (it.key, it.offset, it.byte_size) for name, it in found.regions.items()}


@contextmanager
def triton(kind: str, server: Server) -> Iterator[Triton]:
    """A client of this kind; the server listens for what it speaks."""
    module = importlib.import_module(f"tritonclient.{kind}")
    url = f"127.0.0.1:{server.http_port}" if kind.startswith("http") else server.target
    with asyncio.Runner() as runner:

        def run(work: Awaitable[Any]) -> Any:
            return runner.run(asyncio.wait_for(work, SECONDS))

        async def connected() -> Any:
            return module.InferenceServerClient(url)

        client = run(connected()) if kind.endswith(".aio") else module.InferenceServerClient(url)
        triton = Triton(kind, client, run)
        try:
            yield triton
        finally:
            triton.call("close")
