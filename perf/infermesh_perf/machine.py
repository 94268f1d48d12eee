"""What a result was measured on, without anything that names the machine or its owner."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """Processor, usable cores, memory in bytes, kernel, distribution and interpreter."""
    cpu = _cpu()
    return {
        "cpu": cpu.get("model name", platform.machine()),
        "family_model_stepping": "/".join(cpu.get(key, "?") for key in ("cpu family", "model", "stepping")),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in cpu.get("flags", "").split(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": platform.release(),
        "system": _system(),
        "python": platform.python_version(),
    }


def kind(machine: dict[str, Any]) -> str:
    """A short name for file names that machines alike share, such as `amd-epyc-2c`."""
    words = re.sub(r"\(r\)|\(tm\)|\bcpu\b|\bprocessor\b|@.*|\d+-core", " ", str(machine["cpu"]).lower())
    return "-".join([*re.findall(r"[a-z0-9]+", words), f"{machine['cores']}c"])


def own_versions() -> dict[str, str]:
    """What checks the answers and runs ONNX Runtime alone."""
    return {name: version(name) for name in ("onnxruntime", "onnx", "numpy", "grpcio", "protobuf")}


def load_average() -> float:
    """Processes that wanted a core over the last minute: before a run, the work of others."""
    return os.getloadavg()[0]


def _cpu() -> dict[str, str]:
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _system() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return platform.system()
    return release.get("PRETTY_NAME", platform.system())
