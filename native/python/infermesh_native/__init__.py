"""The data plane: a gRPC inference server whose request path never enters the interpreter.

Python hands over whole models and settings; a request is received, batched, executed and answered in Rust. A
model configuration crosses the boundary as a serialised ``inference.ModelConfig``, so both share one schema.
"""

from infermesh_native._native import (
    ONNX_PARAMETERS,
    FatalError,
    Histogram,
    Hook,
    Limits,
    LoadGenerator,
    ModelError,
    NullServer,
    Proxy,
    Rules,
    Server,
    Tls,
    __version__,
)

#: One tensor as the python backend sees it: name, datatype, shape, little-endian row-major bytes.
Tensor = tuple[str, str, tuple[int, ...], memoryview]

__all__ = [
    "ONNX_PARAMETERS",
    "FatalError",
    "Histogram",
    "Hook",
    "Limits",
    "LoadGenerator",
    "ModelError",
    "NullServer",
    "Proxy",
    "Rules",
    "Server",
    "Tensor",
    "Tls",
    "__version__",
]
