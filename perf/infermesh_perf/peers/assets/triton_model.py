"""The model that Triton's Python backend runs: one call of ONNX Runtime for all requests of a batch.

It runs inside Triton's stub process, in the environment of that peer, and imports nothing of this project.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as backend


class TritonPythonModel:
    """What the stub looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads model.onnx from beside this file with the thread count that config.pbtxt gives."""
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(config["parameters"]["intra_op_thread_count"]["string_value"])
        options.inter_op_num_threads = 1
        folder = os.path.join(args["model_repository"], args["model_version"])
        self.session = onnxruntime.InferenceSession(
            os.path.join(folder, "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.input = config["input"][0]["name"]
        self.output = config["output"][0]["name"]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Joins the requests, runs once and splits the rows again; a lone request is not copied."""
        arrays = [backend.get_input_tensor_by_name(request, self.input).as_numpy() for request in requests]
        batch = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        result = self.session.run([self.output], {self.input: batch})[0]
        responses = []
        first = 0
        for array in arrays:
            last = first + len(array)
            tensor = backend.Tensor(self.output, result[first:last])
            responses.append(backend.InferenceResponse([tensor]))
            first = last
        return responses
