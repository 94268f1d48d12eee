"""The GPUs of this machine, as NVIDIA's own tool describes them, without anything that names the machine."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

FIELDS = (
    "name",
    "driver_version",
    "compute_cap",
    "memory.total",
    "clocks.sm",
    "clocks.max.sm",
    "clocks.mem",
    "power.limit",
    "temperature.gpu",
    "pcie.link.gen.current",
    "persistence_mode",
    "compute_mode",
)


def absent() -> str:
    """Why nothing can run on a GPU here, or an empty string."""
    if shutil.which("nvidia-smi") is None:
        return "this machine has no NVIDIA GPU, or no driver for it (nvidia-smi was not found)"
    listed = subprocess.run(["nvidia-smi", "-L"], check=False, capture_output=True, text=True)
    if listed.returncode != 0 or "GPU 0" not in listed.stdout:
        return f"the NVIDIA driver sees no GPU: {(listed.stdout + listed.stderr).strip()}"
    # Only looked at, never imported: its own copy of the runtime must not stand beside the server's.
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return "ONNX Runtime is not installed (onnxruntime-gpu is needed)"
    if not (Path(spec.origin).parent / "capi" / "libonnxruntime_providers_cuda.so").exists():
        return f"the installed onnxruntime has no CUDA provider (onnxruntime-gpu is needed): {spec.origin}"
    return ""


def describe() -> list[dict[str, str]]:
    """Each GPU's name, driver, memory, clocks and limits; clocks as they are now."""
    query = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader"]
    said = subprocess.run(query, check=True, capture_output=True, text=True).stdout
    gpus = [dict(zip(FIELDS, line.split(", "), strict=False)) for line in said.splitlines()]
    summary = subprocess.run(["nvidia-smi"], check=True, capture_output=True, text=True).stdout
    cuda = next(
        (
            line.split("CUDA Version:")[1].split()[0]
            for line in summary.splitlines()
            if "CUDA Version:" in line
        ),
        "?",
    )
    return [{**gpu, "cuda_of_driver": cuda} for gpu in gpus]
