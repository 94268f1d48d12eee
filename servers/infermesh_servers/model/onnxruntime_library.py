"""Finds the ONNX Runtime library inside its installed wheel.

The Python package is never imported: that would cost a second copy of the runtime's bindings, their memory
and their start-up time, and only the C library is used.
"""

import re
from importlib.util import find_spec
from pathlib import Path

from infermesh.errors import ConfigurationError

#: libonnxruntime.so.1.23.0, libonnxruntime.1.23.0.dylib, onnxruntime.dll; not libonnxruntime_providers_*.
_LIBRARY = re.compile(r"(?:libonnxruntime(?:\.\d+)*\.dylib|libonnxruntime\.so(?:\.\d+)*|onnxruntime\.dll)")


def find_library(package: str = "onnxruntime") -> Path:
    """Return the library's path; raises ConfigurationError if the wheel is not installed or holds none."""
    # For a top-level name find_spec only looks; it imports nothing.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "ONNX Runtime is not installed",
            hint="pip install infermesh-servers[cpu], or infermesh-servers[gpu] for NVIDIA GPUs",
        )
    folders = [Path(location) / "capi" for location in spec.submodule_search_locations]
    found = [
        file
        for folder in folders
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if _LIBRARY.fullmatch(file.name)
    ]
    if not found:
        looked_in = ", ".join(str(folder) for folder in folders)
        raise ConfigurationError(
            f"no ONNX Runtime library in {looked_in}: expected libonnxruntime.so.*",
            hint="reinstall onnxruntime, version 1.20 or later",
        )
    return found[0]
