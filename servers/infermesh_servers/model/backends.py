"""The backends there are and how a model's files and configuration choose one."""

from collections.abc import Iterable

from infermesh.proto.inference.model_config_pb2 import ModelConfig

ONNXRUNTIME = "onnxruntime"
PYTHON = "python"

#: What answers a model that consists of others, in place of a backend.
ENSEMBLE = "ensemble"

#: Backend to the file that a version directory holds for it.
BACKENDS = {ONNXRUNTIME: "model.onnx", PYTHON: "model.py"}

#: Triton's older field, still found in many repositories, to the backend it means.
PLATFORMS = {"onnxruntime_onnx": ONNXRUNTIME, "ensemble": ENSEMBLE}

#: What to do with models of Triton's other backends, by how its names for them begin.
_INSTEAD = {
    "tensorrt": "serve the ONNX file that the engine was built from, with the execution accelerator tensorrt",
    "pytorch": "export it with torch.onnx.export, or call torch in a Python model",
    "tensorflow": "export it with tf2onnx, or call tensorflow in a Python model",
    "openvino": "export it to ONNX; openvino is an execution accelerator where onnxruntime has it",
    "fil": "export it with onnxmltools, or call the library in a Python model",
    "dali": "preprocess in a Python model",
    "vllm": "call the library in a Python model",
}


def instead_of(backend: str) -> str:
    """Return what to do with a model of a backend that is not served, to end a sentence with; or nothing."""
    return next((f"; {what}" for name, what in _INSTEAD.items() if backend.startswith(name)), "")


def choose_backend(config: ModelConfig | None, file_names: Iterable[str]) -> str:
    """Return the backend of a model: as configured, or as its version directories' files say.

    Raises ValueError with what was found and expected if they say nothing, or both.
    """
    if config is not None:
        if config.HasField("ensemble_scheduling"):
            return ENSEMBLE
        configured = config.backend or PLATFORMS.get(config.platform)
        if configured:
            return configured
        for backend, file_name in BACKENDS.items():
            if config.default_model_filename.endswith(file_name.removeprefix("model")):
                return backend
    names = set(file_names)
    found = [backend for backend, file_name in BACKENDS.items() if file_name in names]
    if len(found) == 1:
        return found[0]
    expected = " or ".join(BACKENDS.values())
    if found:
        found_files = [BACKENDS[backend] for backend in found]
        raise ValueError(
            f"found both {' and '.join(found_files)}, expected one of them, or backend in config.pbtxt"
        )
    held = f"only {', '.join(sorted(names))}" if names else "no file"
    raise ValueError(f"found {held} in its version directories, expected {expected}")


def model_file_name(config: ModelConfig | None, backend: str) -> str:
    """Return the name of the model file inside a version directory; an ensemble has none."""
    if backend == ENSEMBLE:
        return ""
    if config is not None and config.default_model_filename:
        return config.default_model_filename
    return BACKENDS[backend]


def instance_count(config: ModelConfig) -> int:
    """Return how many instances a configuration asks for.

    A group without a count is one, as is no group; one with GPUs has so many on each.
    """
    if config.HasField("ensemble_scheduling"):
        return 0
    return sum((group.count or 1) * (len(group.gpus) or 1) for group in config.instance_group) or 1
