"""The runtime that MLServer loads for the benchmark: its own ones cover no ONNX files.

It runs inside MLServer, in the environment of that peer, and imports nothing of this project.
"""

from __future__ import annotations

from typing import Any

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):  # type: ignore[misc]  # not installed where this is checked
    """One ONNX file with one input and one output; thread counts come from the model's `extra` parameters."""

    async def load(self) -> bool:
        """Opens the file that model-settings.json names."""
        extra: dict[str, Any] = self.settings.parameters.extra
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = extra["intra_op_threads"]
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Runs in the event loop itself: a thread costs a small model more than it gives."""
        values = NumpyCodec.decode_input(payload.inputs[0])
        result = self.session.run([self.output], {self.input: values})[0]
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output(self.output, result)]
        )
