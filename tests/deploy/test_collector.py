"""The rendered configuration in a real OpenTelemetry collector: what failed gets through, the rest seldom.

It needs one with the tail sampling processor, as the contrib distribution has it.
"""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from infermesh.deploy import yaml_text
from infermesh.deploy.observability import collector
from infermesh.description.read import Description, read
from support.client import Client, ints, request
from support.collector import collecting
from support.python_models import MOODY
from support.repository import Repository
from support.server import Serve
from support.sidecar import until

OTELCOL = shutil.which("otelcol-contrib") or shutil.which("otelcol")
pytestmark = pytest.mark.skipif(OTELCOL is None, reason="no otelcol-contrib or otelcol here")

REQUESTS = 100


@pytest.fixture
def description(repository: Repository) -> Description:
    """A server with a model that fails if it is asked for 1."""
    repository.python("moody", MOODY)
    file = repository.root.parent / "mesh.yaml"
    file.write_text(f"name: shop\nmodels: {repository.root.name}\n")
    return read(file)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def write(configuration: dict[str, Any], folder: Path) -> Path:
    file = folder / "collector.yaml"
    file.write_text(yaml_text.one(configuration))
    return file


def test_it_is_valid(description: Description, tmp_path: Path) -> None:
    file = write(collector.configuration(description), tmp_path)
    command = [OTELCOL or "", "validate", "--config", str(file)]
    environment = {**os.environ, "TRACES_ENDPOINT": "http://127.0.0.1:4318"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_what_failed_is_kept(description: Description, serve: Serve, tmp_path: Path) -> None:
    port = free_port()
    with collecting() as sink:
        configuration = collector.configuration(description, sink.http_url.removesuffix("/v1/traces"))
        configuration["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": f"127.0.0.1:{port}"}}
        configuration["processors"]["tail_sampling"]["decision_wait"] = "1s"
        configuration["service"]["telemetry"] = {"metrics": {"level": "none"}}
        command = [OTELCOL or "", "--config", str(write(configuration, tmp_path))]
        with (
            (tmp_path / "log").open("w") as log,
            subprocess.Popen(command, stdout=log, stderr=log) as running,
        ):
            try:
                until(lambda: "Everything is ready" in (tmp_path / "log").read_text())
                url = f"opentelemetry,url=http://127.0.0.1:{port}/v1/traces"
                options = [f"--trace-config={it}" for it in ("level=TIMESTAMPS", "rate=1", url)]
                server = serve(*options)
                server.wait_ready()
                with Client(server.target) as client:
                    for _ in range(REQUESTS):
                        client.infer(request("moody", x=ints([0])))
                    assert client.start(request("moody", x=ints([1]))).exception() is not None
                # What waits to be sent is, before it ends.
                assert server.stop() == 0
                until(lambda: any(span.failed for span in sink.spans))
            finally:
                running.terminate()
                running.wait()
        assert len({span.trace for span in sink.spans}) < REQUESTS / 2
