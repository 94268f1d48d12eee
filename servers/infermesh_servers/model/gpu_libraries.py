"""Makes the libraries that ONNX Runtime's CUDA provider needs known to the process.

The provider's library names CUDA's and cuDNN's, and the system looks for them in its own folders only.
Wheels put them elsewhere: NVIDIA's under ``nvidia/``, PyTorch's under ``torch/lib``, TensorRT's under
``tensorrt_libs``. A library that is loaded already is found by its name, so each is loaded first, in the
order of their needs.
"""

import ctypes
import os
import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from infermesh.proto.inference.model_config_pb2 import ModelConfig, ModelInstanceGroup

#: What a build of ONNX Runtime with CUDA has beside its library.
_PROVIDER = "libonnxruntime_providers_cuda.so"

#: Each needs only those before it.
_CUDA = ("cudart", "nvJitLink", "nvrtc", "cublasLt", "cublas", "curand", "cufft", "cudnn")
_TENSORRT = ("nvinfer", "nvinfer_plugin", "nvonnxparser")

#: Packages whose wheels hold them, to their folders, as patterns.
_FOLDERS = {"nvidia": ("*/lib", "*/lib/x86_64-linux-gnu"), "torch": ("lib",), "tensorrt_libs": (".",)}


def has_cuda(library: Path) -> bool:
    """Return whether the ONNX Runtime of this library was built with the CUDA provider."""
    return (library.parent / _PROVIDER).is_file()


def may_use_gpu(config: ModelConfig) -> bool:
    """Return whether a model may run on a GPU as configured; where it says nothing, it may."""
    cpu = (ModelInstanceGroup.KIND_CPU, ModelInstanceGroup.KIND_MODEL)
    return any(group.kind not in cpu for group in config.instance_group) or not config.instance_group


def preload(library: Path, folders: Iterable[Path] | None = None) -> list[str]:
    """Load what the provider beside ``library`` needs from ``folders``, of the installed wheels if None.

    Returns the names of the libraries that were loaded: none without a driver, as they are of no use then.
    What is not there is left to the system to find, and to ONNX Runtime to complain about. Loading what is
    loaded already does nothing.
    """
    if folders is None and not _has_driver():
        return []
    major = _cuda_major(library)
    everywhere = list(_wheel_folders() if folders is None else folders)
    loaded = []
    for name in (*_CUDA, *_TENSORRT):
        for file in _candidates(name, everywhere, major):
            try:
                ctypes.CDLL(str(file), mode=os.RTLD_NOW | os.RTLD_GLOBAL)
            except OSError:
                # For another machine, or in need of what is not there: another wheel may have one that fits.
                continue
            loaded.append(file.name)
            break
    return loaded


def explain(error: str, library: Path) -> str:
    """Return what to do about a library that could not be loaded; empty if that is not what happened."""
    match = re.search(r"(lib[\w.+-]+\.so[\d.]*): cannot open shared object file", error)
    if match is None:
        return ""
    missing = match[1]
    if missing == "libcuda.so.1":
        return "libcuda.so.1 comes with the NVIDIA driver: install the driver, or give the container its GPUs"
    if missing.startswith(tuple(f"lib{name}." for name in _TENSORRT)):
        return f"{missing} belongs to TensorRT: pip install tensorrt"
    major = _cuda_major(library)
    version = f" {major}" if major else ""
    return (
        f"{missing} was found neither in the wheels of NVIDIA or PyTorch nor by the system. This "
        f"ONNX Runtime is built for CUDA{version}: pip install 'onnxruntime-gpu[cuda,cudnn]', "
        "or set LD_LIBRARY_PATH"
    )


def _has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _cuda_major(library: Path) -> str:
    """Return the CUDA version that ONNX Runtime was built for, as its wheel says, or an empty string."""
    try:
        text = (library.parent / "build_and_package_info.py").read_text()
    except OSError:
        return ""
    match = re.search(r"cuda_version\s*=\s*['\"](\d+)", text)
    return match[1] if match else ""


def _wheel_folders() -> Iterator[Path]:
    for package, patterns in _FOLDERS.items():
        # For a top-level name find_spec only looks; it imports nothing.
        spec = find_spec(package)
        for location in (spec.submodule_search_locations if spec else None) or ():
            for pattern in patterns:
                yield from sorted(Path(location).glob(pattern))


def _candidates(name: str, folders: Iterable[Path], major: str) -> Iterator[Path]:
    # These two count with CUDA; the others have numbers of their own.
    wanted = (
        f"lib{name}.so.{major}" if name in ("cudart", "nvJitLink", "cublasLt", "cublas") and major else ""
    )
    for folder in folders:
        for file in sorted(folder.glob(f"lib{name}.so.*"), key=lambda file: len(file.name)):
            if not wanted or file.name == wanted or file.name.startswith(f"{wanted}."):
                yield file
