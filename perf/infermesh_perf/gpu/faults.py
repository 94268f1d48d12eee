"""What a server does when a device has too little memory, or fails for good."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import grpc_service_pb2_grpc
from onnx import TensorProto, helper, numpy_helper

from infermesh_perf.errors import RunError
from infermesh_perf.gpu.answers import BATCHED, ON_GPU, parameter
from infermesh_perf.gpu.checks import Question
from infermesh_perf.gpu.server import gpu_server
from infermesh_perf.models import IR_VERSION, MODELS, OPSET

SECONDS = 30.0
#: An element far outside of anything that the device has.
NOWHERE = 1 << 40


def questions(files: Path) -> list[Question]:
    """The models are written to `files`."""
    weights = MODELS["resnet50"].save(files)
    lookup = files / "lookup.onnx"
    onnx.save(_lookup(), str(lookup))
    return [
        Question("an arena that is too small is refused", partial(_limit_is_kept, weights)),
        Question("a device that fails ends readiness", partial(_readiness_ends, lookup)),
        Question("a device that fails ends the process where asked", partial(_process_ends, lookup)),
    ]


def _limit_is_kept(file: Path, folder: Path) -> tuple[bool, str]:
    """Weights of 100 MB do not fit into an arena of 1 MB: the model is refused, and that is not fatal."""
    config = BATCHED + ON_GPU + parameter("gpu_mem_limit", str(1 << 20))
    try:
        with gpu_server(folder, {"checked": (file, config)}):
            return False, "it was loaded"
    except RunError as error:
        return "memory" in str(error).lower(), ""


def _readiness_ends(file: Path, folder: Path) -> tuple[bool, str]:
    with gpu_server(folder, {"lookup": (file, BATCHED + ON_GPU)}) as server:
        said = _fail(server.port)
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
            end = time.monotonic() + SECONDS
            while stub.ServerReady(pb.ServerReadyRequest(), timeout=SECONDS).ready:
                if time.monotonic() > end:
                    return False, f"it is ready still, after: {said}"
                time.sleep(0.01)
            alive = stub.ServerLive(pb.ServerLiveRequest(), timeout=SECONDS).live
        return alive, said


def _process_ends(file: Path, folder: Path) -> tuple[bool, str]:
    with gpu_server(folder, {"lookup": (file, BATCHED + ON_GPU)}, ["--exit-on-fatal"]) as server:
        said = _fail(server.port)
        return server.process.has_ended(), said


def _fail(port: int) -> str:
    """Has the device read where nothing is; returns what the caller was told. A good answer comes first."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.ModelInfer(_request(3), timeout=SECONDS)
        failed = stub.ModelInfer.future(_request(NOWHERE), timeout=SECONDS).exception()
    if failed is None:
        raise RunError("the device read where nothing is, and did not fail")
    # What a call raises is a call as well, which its declared type does not say.
    call: Any = failed
    return str(call.details())


def _request(index: int) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="lookup")
    request.inputs.add(name="index", datatype="INT64", shape=[1, 1])
    request.raw_input_contents.append(np.array([[index]], "<i8").tobytes())
    return request


def _lookup() -> onnx.ModelProto:
    """Rows of a table by number, `index` [N, 1] in, `row` [N, 4] out; on a GPU, nothing checks the number."""
    table = numpy_helper.from_array(np.arange(32, dtype=np.float32).reshape(8, 4), "table")
    graph = helper.make_graph(
        [helper.make_node("GatherND", ["table", "index"], ["row"])],
        "lookup",
        [helper.make_tensor_value_info("index", TensorProto.INT64, ["N", 1])],
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, ["N", 4])],
        [table],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
