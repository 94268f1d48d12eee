"""ONNX Runtime driven through Python, in infermesh's python backend: what the C library is measured by."""

from __future__ import annotations

from typing import Any

import onnxruntime


class Model:
    """Runs model.onnx from beside this file with the thread count that config.pbtxt gives."""

    def __init__(self, context: Any) -> None:
        """`context` is the server's ModelContext."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(context.parameters["intra_op_thread_count"])
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(context.directory / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.outputs = [output.name for output in self.session.get_outputs()]

    def infer(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One call of ONNX Runtime for the whole batch."""
        return dict(zip(self.outputs, self.session.run(self.outputs, batch), strict=True))
