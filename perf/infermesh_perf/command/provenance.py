"""What a result says of how it came about: the command and the machine."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Any

from infermesh_perf import machine
from infermesh_perf.load.plan import Sending


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def command_line() -> list[str]:
    """As it was typed, without the folder that the program lies in."""
    program = os.path.basename(sys.argv[0])
    return ["infermesh" if program == "__main__.py" else program, *sys.argv[1:]]


def environment(sending: Sending) -> dict[str, Any]:
    """What it was measured with."""
    return {
        **machine.describe(),
        "infermesh": version("infermesh-perf"),
        "load_average": round(machine.load_average(), 2),
        "threads": sending.threads,
        "connections": sending.connections or sending.threads,
        "seed": sending.seed,
    }
