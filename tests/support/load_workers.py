"""Worker processes of the load-test suite, and what they are told to send."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import NullServer
from infermesh_perf.load.worker_address import WorkerAddress, parse

INFER = "/inference.GRPCInferenceService/ModelInfer"
SECONDS = 30
# By the mapping of errors to exit codes that the whole command has.
MAIN = """
import typer
from infermesh import cli
from infermesh_perf.command.worker import worker
cli.app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
cli.app.command()(worker)
cli.main()
"""


class WorkerProcess:
    """`infermesh perf worker` on loopback; `said` are the lines that it printed so far and were read."""

    def __init__(self, *options: str | Path) -> None:
        command = [sys.executable, "-c", MAIN, "--listen", "127.0.0.1:0", *map(str, options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.address = parse("--worker", self.line().removeprefix("listening on ").split()[0])

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        return line.rstrip("\n")

    def end(self) -> tuple[int, str, str]:
        """SIGTERM: exit code, what else it printed, and its errors."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out, err

    def kill(self) -> None:
        """Ends it at once, whatever it does."""
        self.process.kill()
        self.process.communicate(timeout=SECONDS)


@contextmanager
def worker_processes(count: int, *options: str | Path) -> Iterator[list[WorkerProcess]]:
    """Some of them, which must end in order, or have been killed by the test."""
    workers: list[WorkerProcess] = []
    try:
        workers += [WorkerProcess(*options) for _ in range(count)]
        yield workers
        for worker in workers:
            if worker.process.poll() is None:
                code, _, errors = worker.end()
                assert (code, errors) == (0, "")
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.kill()


def addresses(workers: Sequence[WorkerProcess]) -> list[WorkerAddress]:
    """Where they listen."""
    return [worker.address for worker in workers]


@contextmanager
def null_server() -> Iterator[str]:
    """The address of a server that answers anything at once."""
    server = NullServer(0, protocol="grpc", answer=b"")
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        server.close()


def closed_plan(
    target: str, *, concurrency: int = 4, requests: int = 0, body: bytes = b""
) -> load_pb2.LoadPlan:
    """So many requests always under way, at most 5 of which are described."""
    plan = load_pb2.LoadPlan(
        target=load_pb2.Target(address=target, protocol=load_pb2.PROTOCOL_GRPC),
        workloads=[_workload(body)],
        timeout_ns=5 * 10**9,
        request_count=requests,
        seed=7,
        slowest=5,
    )
    plan.closed.concurrency = concurrency
    return plan


def open_plan(target: str, rate: float, *, requests: int = 0, body: bytes = b"") -> load_pb2.LoadPlan:
    """Requests at even distances, `rate` in a second."""
    plan = closed_plan(target, requests=requests, body=body)
    plan.open.constant = rate
    return plan


def infer_body(model: str) -> bytes:
    """A request of one row of four numbers, as the identity models of the tests take it."""
    request = pb.ModelInferRequest(model_name=model)
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend([1, 2, 3, 4])
    return request.SerializeToString()


def _workload(body: bytes) -> load_pb2.Workload:
    script = load_pb2.Script(payloads=[load_pb2.Payload(body=body or infer_body("m"))])
    return load_pb2.Workload(name="m", path=INFER, weight=1, scripts=[script])
