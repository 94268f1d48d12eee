"""How much memory a process and all its descendants hold, from /proc."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

KIB = 1024


@dataclass(frozen=True)
class Memory:
    """Bytes held by a process tree.

    `resident` sums VmRSS, which counts a page once per process that maps it; `proportional` sums Pss, which
    counts it once. A server of several processes is treated fairly only by the second.
    """

    resident: int
    proportional: int


def of_tree(pid: int) -> Memory:
    """The memory of `pid` and its descendants now; processes that end meanwhile count as nothing."""
    resident = proportional = 0
    for member in tree(pid):
        resident += _field(Path(f"/proc/{member}/status"), "VmRSS:")
        proportional += _field(Path(f"/proc/{member}/smaps_rollup"), "Pss:")
    return Memory(resident, proportional)


def tree(pid: int) -> list[int]:
    """`pid` and all its living descendants."""
    members = [pid]
    for member in members:
        for task in _list(Path(f"/proc/{member}/task")):
            try:
                children = (task / "children").read_text()
            except OSError:
                continue
            members.extend(int(child) for child in children.split())
    return members


def _list(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _field(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * KIB for line in lines if line.startswith(name))
