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

from infermesh_perf.bench.gpu.answers import BATCHED, ON_GPU, parameter
from infermesh_perf.bench.gpu.checks import Question
from infermesh_perf.bench.gpu.server import gpu_server
from infermesh_perf.errors import RunError
from infermesh_perf.models import IR_VERSION, MODELS, OPSET

SECONDS = 30.0
#: Numbers of elements far outside of what the device has mapped.
NOWHERE_64, NOWHERE_32 = 1 << 40, 3 << 23
WIDTH = 64


def questions(files: Path) -> list[Question]:
    """The models are written to `files`."""
    weights = MODELS["resnet50"].save(files)
    careless = {"ban": files / "ban.onnx", "embed": files / "embed.onnx"}
    onnx.save(_ban(), str(careless["ban"]))
    onnx.save(_embed(), str(careless["embed"]))
    return [
        Question("an arena that is too small is refused", partial(_limit_is_kept, weights)),
        Question("a device that fails ends readiness", partial(_readiness_ends, careless)),
        Question("a device that fails ends the process where asked", partial(_process_ends, careless)),
    ]


def _limit_is_kept(file: Path, folder: Path) -> tuple[bool, str]:
    """Weights of 100 MB do not fit into an arena of 1 MB: the model is refused, and that is not fatal."""
    config = BATCHED + ON_GPU + parameter("gpu_mem_limit", str(1 << 20))
    try:
        with gpu_server(folder, {"checked": (file, config)}):
            return False, "it was loaded"
    except RunError as error:
        return "memory" in str(error).lower(), ""


def _readiness_ends(files: dict[str, Path], folder: Path) -> tuple[bool, str]:
    with gpu_server(folder, _on_gpu(files)) as server:
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


def _process_ends(files: dict[str, Path], folder: Path) -> tuple[bool, str]:
    with gpu_server(folder, _on_gpu(files), ["--exit-on-fatal"]) as server:
        said = _fail(server.port)
        return server.process.has_ended(), said


def _on_gpu(files: dict[str, Path]) -> dict[str, tuple[Path, str]]:
    return {name: (file, ON_GPU) for name, file in files.items()}


def _fail(port: int) -> str:
    """Has the device reach where nothing is; returns what the caller was told. Good answers come first."""
    requests = {"ban": (_banning, 2, NOWHERE_64), "embed": (_embedding, 3, NOWHERE_32)}
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for request, good, _ in requests.values():
            stub.ModelInfer(request(good), timeout=SECONDS)
        for request, _, nowhere in requests.values():
            failed = stub.ModelInfer.future(request(nowhere), timeout=SECONDS).exception()
            if failed is not None:
                # What a call raises is a call as well, which its declared type does not say.
                call: Any = failed
                return f"{call.code().name}: {call.details()}"
    raise RunError("the device reached where nothing is, and did not fail")


def _banning(token: int) -> pb.ModelInferRequest:
    """The token that followed the last one before is not to come again: its score is written over."""
    request = pb.ModelInferRequest(model_name="ban")
    request.inputs.add(name="tokens", datatype="INT64", shape=[1, 3])
    request.inputs.add(name="scores", datatype="FP32", shape=[1, WIDTH])
    request.raw_input_contents.append(np.array([[5, token, 5]], "<i8").tobytes())
    request.raw_input_contents.append(np.zeros((1, WIDTH), "<f4").tobytes())
    return request


def _embedding(word: int) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="embed")
    request.inputs.add(name="words", datatype="INT32", shape=[1, 1])
    request.raw_input_contents.append(np.array([[word]], "<i4").tobytes())
    return request


def _ban() -> onnx.ModelProto:
    """Of ONNX Runtime's own operators, one whose kernel takes a token for an index as it comes."""
    node = helper.make_node(
        "NGramRepeatBlock", ["tokens", "scores"], ["left"], domain="com.microsoft", ngram_size=2
    )
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["N", 3])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", WIDTH])
    left = helper.make_tensor_value_info("left", TensorProto.FLOAT, ["N", WIDTH])
    return _model(helper.make_graph([node], "ban", [tokens, scores], [left]))


def _embed() -> onnx.ModelProto:
    """Another one, whose kernel reads the row of a table that the word names."""
    node = helper.make_node(
        "EmbedLayerNormalization",
        ["words", "", "table", "places", "", "gamma", "beta"],
        ["row", "mask"],
        domain="com.microsoft",
    )
    constants = {"table": (8, WIDTH), "places": (1, WIDTH), "gamma": (WIDTH,), "beta": (WIDTH,)}
    words = helper.make_tensor_value_info("words", TensorProto.INT32, ["N", 1])
    row = helper.make_tensor_value_info("row", TensorProto.FLOAT, ["N", 1, WIDTH])
    weights = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in constants.items()]
    return _model(helper.make_graph([node], "embed", [words], [row], weights))


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    domains = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=IR_VERSION)
