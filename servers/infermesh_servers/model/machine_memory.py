"""How much memory this process may have."""

import os
from pathlib import Path

#: Where a container sees its own limit: control groups of version 2, and of version 1.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def machine_memory(limits: tuple[Path, ...] = _LIMITS) -> int:
    """Bytes: the container's limit, or what the machine has if that is less or there is none."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *(limit for path in limits if (limit := _read(path)) is not None)])


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        # There is no such group, or it says "max".
        return None
