import os
import sys
from pathlib import Path

import pytest
from infermesh_perf.errors import RunError
from infermesh_perf.memory import of_tree
from infermesh_perf.processes import Command, free_ports, serving

SERVER = """
import sys
from concurrent import futures
import grpc
from infermesh.proto.inference import grpc_service_pb2 as pb
answers = {"ServerReady": pb.ServerReadyResponse(ready=True), "ModelReady": pb.ModelReadyResponse(ready=True)}
handlers = {
    name: grpc.unary_unary_rpc_method_handler(lambda request, context, a=a: a.SerializeToString())
    for name, a in answers.items()
}
server = grpc.server(futures.ThreadPoolExecutor(1))
server.add_generic_rpc_handlers(
    [grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)]
)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
"""


def _command(script: str, directory: Path) -> Command:
    (port,) = free_ports(1)
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    arguments = (sys.executable, "-c", script, str(port))
    return Command(arguments, "m", port, directory / "server.log", environment)


def test_is_ready_when_the_server_says_so_and_ends_with_the_block(tmp_path: Path) -> None:
    with serving(_command(SERVER, tmp_path)) as server:
        assert server.ready_seconds > 0
        assert server.memory().resident >= server.memory().proportional > 0

    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_a_server_that_ends_early_shows_its_log(tmp_path: Path) -> None:
    command = _command("import sys; sys.exit('no such model')", tmp_path)

    with pytest.raises(RunError, match="no such model"), serving(command):
        pass


def test_memory_counts_this_process() -> None:
    assert of_tree(os.getpid()).resident > 1 << 20


def test_free_ports_differ() -> None:
    assert len(set(free_ports(5))) == 5
