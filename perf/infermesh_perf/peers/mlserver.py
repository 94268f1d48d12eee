"""MLServer from PyPI, with a custom runtime that calls ONNX Runtime."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from infermesh_perf.environment import Environment
from infermesh_perf.models import Model
from infermesh_perf.peers.base import Peer, fresh, place
from infermesh_perf.processes import Command, free_ports

MODEL_FILE = Path(__file__).parent / "assets" / "mlserver_model.py"
# A batch is held this many seconds for more requests: short, yet long enough to gather what waits already.
BATCH_SECONDS = 0.001


class MLServer(Peer):
    """MLServer in one process, without its access log and metrics, which cost it speed."""

    name = "mlserver"

    def __init__(self, root: Path) -> None:
        """`root` is the repository's root."""
        self._home = root / ".peers" / self.name
        self._environment = Environment(self._home, root / "requirements" / "peers-mlserver.txt")

    def install(self) -> None:
        """Installs the package and its lock."""
        self._environment.install()

    def missing(self) -> str | None:
        """The package, if it is not installed as the lock says now."""
        if self._environment.installed:
            return None
        return f"MLServer is not set up in {self._home}: infermesh perf peers setup mlserver does it"

    def versions(self) -> dict[str, str]:
        """The package and what its model calls."""
        return self._environment.versions("mlserver", "onnxruntime", "numpy")

    def settings(self, model: Model) -> dict[str, int]:
        """The event loop's process serves: worker processes receive every request by a pickle in a queue."""
        cores = len(os.sched_getaffinity(0))
        return {"parallel_workers": 0, "intra_op_threads": cores if model.compute_bound else 1}

    def command(self, model: Model, onnx: Path) -> Command:
        """A server on loopback whose HTTP and metrics listeners stay unused."""
        repository = fresh(self._home / "repository" / model.name)
        settings = self.settings(model)
        folder = repository / model.name
        place(onnx, folder / "model.onnx")
        shutil.copyfile(MODEL_FILE, folder / MODEL_FILE.name)
        grpc_port, http_port = free_ports(2)
        # The server is started in the repository's folder: MLServer reads its settings from there.
        server_settings = {
            "debug": False,
            "host": "127.0.0.1",
            "http_port": http_port,
            "grpc_port": grpc_port,
            "metrics_endpoint": None,
            "parallel_workers": settings["parallel_workers"],
            "grpc_max_message_length": -1,
        }
        model_settings: dict[str, Any] = {
            "name": model.name,
            "implementation": f"{MODEL_FILE.stem}.OnnxModel",
            # What it tells clients, which make their inputs from it.
            "inputs": [{"name": model.input_name, "datatype": "FP32", "shape": [-1, *model.input_shape]}],
            "outputs": [{"name": model.output_name, "datatype": "FP32", "shape": [-1, *model.output_shape]}],
            "parameters": {
                "uri": str(folder / "model.onnx"),
                "extra": {"intra_op_threads": settings["intra_op_threads"]},
            },
        }
        if model.compute_bound:
            # Gathering costs more than a small model's whole answer: that one is served request by request.
            model_settings["max_batch_size"] = model.max_batch_size
            model_settings["max_batch_time"] = BATCH_SECONDS
        (repository / "settings.json").write_text(json.dumps(server_settings))
        (folder / "model-settings.json").write_text(json.dumps(model_settings))
        return Command(
            arguments=(str(self._environment.binaries / "mlserver"), "start", "."),
            model=model.name,
            grpc_port=grpc_port,
            log=self._home / "server.log",
            environment={"PYTHONPATH": str(folder)},
            directory=repository,
        )
