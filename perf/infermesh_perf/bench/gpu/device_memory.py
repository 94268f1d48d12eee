"""Memory on a GPU that another process may open, as a client of CUDA shared memory has it.

Through CUDA's driver alone, whose functions are those of the CUDA Driver API reference.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infermesh_perf.errors import RunError

HANDLE_BYTES = 64


@dataclass(frozen=True)
class DeviceMemory:
    """An allocation of this process; its context is current on the thread that made it."""

    address: int
    handle: bytes
    cuda: ctypes.CDLL

    def write(self, values: NDArray[np.float32], offset: int = 0) -> None:
        """Copies values to the device, `offset` bytes behind its start."""
        whole = np.ascontiguousarray(values)
        to = ctypes.c_uint64(self.address + offset)
        _check(self.cuda.cuMemcpyHtoD_v2(to, whole.ctypes.data_as(ctypes.c_void_p), whole.nbytes))

    def read(self, shape: tuple[int, ...], offset: int = 0) -> NDArray[np.float32]:
        """Values copied back from `offset`."""
        values = np.empty(shape, np.float32)
        source = ctypes.c_uint64(self.address + offset)
        _check(self.cuda.cuMemcpyDtoH_v2(values.ctypes.data_as(ctypes.c_void_p), source, values.nbytes))
        return values


@contextmanager
def device_memory(size: int) -> Iterator[DeviceMemory]:
    """`size` bytes on the first GPU, for as long as the block lasts. Raises RunError with CUDA's number."""
    cuda = ctypes.CDLL("libcuda.so.1")
    cuda.cuMemcpyHtoD_v2.argtypes = [ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t]
    cuda.cuMemcpyDtoH_v2.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_size_t]
    device, context, address = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    handle = (ctypes.c_ubyte * HANDLE_BYTES)()
    _check(cuda.cuInit(0))
    _check(cuda.cuDeviceGet(ctypes.byref(device), 0))
    _check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    try:
        _check(cuda.cuCtxSetCurrent(context))
        _check(cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(size)))
        try:
            _check(cuda.cuIpcGetMemHandle(ctypes.byref(handle), address))
            yield DeviceMemory(address.value, bytes(handle), cuda)
        finally:
            cuda.cuMemFree_v2(address)
    finally:
        cuda.cuDevicePrimaryCtxRelease_v2(device)


def _check(status: int) -> None:
    if status:
        raise RunError(f"CUDA's driver answered {status}")
