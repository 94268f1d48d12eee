"""Two sets of stubs define the package `inference`; a process may need both.

Each case runs in a fresh interpreter: what this process imported before would decide the order.
"""

import subprocess
import sys

import pytest

OURS = """
from infermesh.proto.inference import grpc_service_pb2 as ours, grpc_service_pb2_grpc, model_config_pb2
from infermesh.proto.grpc_health_v1 import health_pb2, health_pb2_grpc
from infermesh.proto.grpc_reflection_v1 import reflection_pb2, reflection_pb2_grpc
from infermesh.proto.grpc_reflection_v1alpha import reflection_pb2, reflection_pb2_grpc
"""
THEIRS = """
import tritonclient.grpc
from tritonclient.grpc import service_pb2 as theirs
"""
BOTH_WORK = """
request = ours.ModelInferRequest(parameters={"priority": ours.InferParameter(uint64_param=3)})
copy = theirs.ModelInferRequest.FromString(request.SerializeToString())
assert copy.parameters["priority"].uint64_param == 3
assert type(request) is not theirs.ModelInferRequest
assert tritonclient.grpc.InferInput("x", [1], "FP32").name() == "x"
"""


@pytest.mark.parametrize("imports", [OURS + THEIRS, THEIRS + OURS], ids=["ours-first", "theirs-first"])
def test_loads_in_either_order(imports: str) -> None:
    done = run(imports + BOTH_WORK)
    assert done.returncode == 0, done.stderr


def test_a_shared_pool_would_clash() -> None:
    # The reason for the private pool: once protobuf allows this, the pool can go.
    share = "from google.protobuf import descriptor_pool\nfrom infermesh.proto import _pool\n"
    share += "_pool.Default = descriptor_pool.Default\n"
    done = run(share + OURS + THEIRS)
    assert done.returncode == 1
    assert "duplicate symbol" in done.stderr


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)
