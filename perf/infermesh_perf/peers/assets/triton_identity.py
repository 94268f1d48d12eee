"""The model that Triton's Python backend runs where the way of a tensor is measured: it answers its input."""

from __future__ import annotations

import json
from typing import Any

import triton_python_backend_utils as backend


class TritonPythonModel:
    """What the stub looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Takes the names of the tensors from config.pbtxt."""
        config = json.loads(args["model_config"])
        self.input = config["input"][0]["name"]
        self.output = config["output"][0]["name"]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Hands each request's tensor through."""
        tensors = [backend.get_input_tensor_by_name(request, self.input).as_numpy() for request in requests]
        return [backend.InferenceResponse([backend.Tensor(self.output, tensor)]) for tensor in tensors]
