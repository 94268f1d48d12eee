"""How much processor time a process and its descendants have used, by the kernel's own clock of each."""

from __future__ import annotations

import ctypes
import os
import time

from infermesh_perf import memory

_libc = ctypes.CDLL(None)


def of_process(pid: int) -> float:
    """Seconds that all threads of `pid`, ended ones included, have been on a core so far.

    To the nanosecond, where /proc/PID/stat counts in hundredths of a second: a proxy that does little is
    measured in short runs. Raises OSError when there is no such process.
    """
    clock = ctypes.c_int()
    if error := _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise OSError(error, f"no clock of process {pid}: {os.strerror(error)}")
    return time.clock_gettime(clock.value)


def of_tree(pid: int) -> float:
    """The seconds of `pid` and of its living descendants. Raises OSError when one ends meanwhile."""
    return sum(of_process(member) for member in memory.tree(pid))
