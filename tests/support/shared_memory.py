"""Shared memory as a client has it: an object of its own, and views into it."""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.utils.shared_memory as triton
from numpy.typing import NDArray

DIRECTORY = Path("/dev/shm")

_serial = itertools.count()


@dataclass(frozen=True)
class Memory:
    """One object, made and mapped by tritonclient; `key` is its name in the system."""

    key: str
    handle: Any

    @property
    def file(self) -> Path:
        """Where the system shows it."""
        return DIRECTORY / self.key

    def put(self, *arrays: NDArray[Any], offset: int = 0) -> None:
        """Write arrays behind each other."""
        triton.set_shared_memory_region(self.handle, arrays, offset=offset)

    def get(self, datatype: Any, shape: Sequence[int], offset: int = 0) -> NDArray[Any]:
        """A copy of what lies there."""
        found: NDArray[Any] = triton.get_contents_as_numpy(self.handle, datatype, shape, offset)
        return np.array(found)


def fresh_key() -> str:
    """A name that no other test uses."""
    return f"infermesh-test-{os.getpid()}-{next(_serial)}"


@contextmanager
def memory(size: int) -> Iterator[Memory]:
    """An object of `size` bytes, all zero, for as long as the block lasts."""
    key = fresh_key()
    handle = triton.create_shared_memory_region(key, key, size, create_only=True)
    try:
        yield Memory(key, handle)
    finally:
        triton.destroy_shared_memory_region(handle)


def open_objects(pid: int) -> list[str]:
    """The shared memory objects that a process holds open."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return sorted(link for link in links if link.startswith(f"{DIRECTORY}/infermesh-test-"))
