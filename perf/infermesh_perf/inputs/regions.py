"""Regions of memory that this process and the server share."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.target.api import Api
from infermesh_perf.target.errors import RefusedError

_HINT = "client and server must share a machine, /dev/shm and the right to open each other's files there"


@contextmanager
def system_region(api: Api, name: str, contents: bytes | bytearray) -> Iterator[None]:
    """System shared memory with these contents, which the server has mapped under a name.

    Gone at the end of the block, whatever happens; if this process dies, Python's resource tracker removes
    it. Raises SetupError if there is no room for it or the server cannot map it.
    """
    try:
        memory = SharedMemory(name, create=True, size=len(contents))
    except OSError as error:
        raise SetupError(
            f"cannot make {len(contents):,} bytes of shared memory: {error.strerror}",
            hint="`df /dev/shm` shows how much there is",
        ) from error
    try:
        assert memory.buf is not None
        memory.buf[: len(contents)] = contents
        try:
            api.register_system_memory(name, f"/{name}", len(contents))
        except RefusedError as error:
            raise SetupError(f"--shared-memory system: {error}", _HINT) from error
        yield
    finally:
        # The run is over: a server that is gone has forgotten it, too.
        with suppress(RunError, SetupError):
            api.unregister_system_memory(name)
        memory.close()
        memory.unlink()


@contextmanager
def cuda_region(api: Api, name: str, contents: bytes | bytearray, device: int = 0) -> Iterator[None]:
    """As `system_region`, in the memory of a GPU; raises SetupError also without one, or a library for it."""
    cuda = _cuda()
    try:
        memory = cuda.create_shared_memory_region(name, len(contents), device)
    except cuda.CudaSharedMemoryException as error:
        raise SetupError(f"--shared-memory cuda: cannot make {len(contents):,} bytes: {error}") from error
    try:
        cuda.set_shared_memory_region(memory, [np.frombuffer(contents, np.uint8)])
        handle = base64.b64decode(cuda.get_raw_handle(memory))
        try:
            api.register_cuda_memory(name, handle, device, len(contents))
        except RefusedError as error:
            hint = "client and server must share a machine and its GPU"
            raise SetupError(f"--shared-memory cuda: {error}", hint) from error
        yield
    finally:
        with suppress(RunError, SetupError):
            api.unregister_cuda_memory(name)
        cuda.destroy_shared_memory_region(memory)


def _cuda() -> Any:
    try:
        # It needs CUDA as soon as it is imported.
        from tritonclient.utils import cuda_shared_memory
    except (ImportError, RuntimeError, OSError) as error:
        raise SetupError(
            f"--shared-memory cuda: CUDA's Python bindings cannot be loaded: {error}",
            hint="install cuda-bindings on a machine with a GPU, or take --shared-memory system",
        ) from error
    return cuda_shared_memory
