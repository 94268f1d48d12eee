"""A small client of the v2 service: readiness, statistics, a call that is held against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
import onnxruntime
from infermesh.identity.layout import OWN
from infermesh.proto.inference import grpc_service_pb2 as pb

from infermesh_perf.bodies import decode_answer, infer_request
from infermesh_perf.errors import RunError
from infermesh_perf.models import Model

SERVICE = "/inference.GRPCInferenceService/"
# Another batch size may take another kernel, which adds in another order.
TOLERANCE = 1e-4


class Client:
    """One channel to a v2 server on this machine; used as a context manager."""

    def __init__(self, port: int, *options: tuple[str, int], identity: Path | None = None) -> None:
        """`options` are further ones of the channel.

        In plaintext, or with mutual TLS and the identity in this folder; the server's certificate has to name
        the address 127.0.0.1.
        """
        # A refused connection must be tried again at once: gRPC's own first pause is a second, far longer
        # than what the time to ready measures.
        every = [
            ("grpc.initial_reconnect_backoff_ms", 20),
            ("grpc.min_reconnect_backoff_ms", 20),
            ("grpc.max_reconnect_backoff_ms", 20),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.enable_http_proxy", 0),
            *options,
        ]
        target = f"127.0.0.1:{port}"
        if identity is None:
            self._channel = grpc.insecure_channel(target, options=every)
        else:
            self._channel = grpc.secure_channel(target, _credentials(identity), options=every)

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the channel."""
        self._channel.close()

    def ready(self, model: str, timeout: float) -> bool:
        """Whether ServerReady and ModelReady both answer true, each within `timeout` seconds.

        Both are asked, since a server may call itself ready before it has looked at its models. Any gRPC
        error counts as not ready.
        """
        try:
            server = self._call("ServerReady", pb.ServerReadyRequest().SerializeToString(), timeout)
            if not pb.ServerReadyResponse.FromString(server).ready:
                return False
            question = pb.ModelReadyRequest(name=model).SerializeToString()
            return pb.ModelReadyResponse.FromString(self._call("ModelReady", question, timeout)).ready
        except grpc.RpcError:
            return False

    def infer(self, request: bytes, timeout: float = 60) -> bytes:
        """One ModelInfer with serialized messages in and out.

        Raises RunError with the status and its message when the server refuses.
        """
        return self._ask("ModelInfer", request, timeout)

    def statistics(self, model: str) -> pb.ModelStatistics:
        """Of a model that has one version. Raises RunError when the server refuses."""
        question = pb.ModelStatisticsRequest(name=model).SerializeToString()
        (found,) = pb.ModelStatisticsResponse.FromString(
            self._ask("ModelStatistics", question, 60)
        ).model_stats
        return found

    def _ask(self, method: str, request: bytes, timeout: float) -> bytes:
        try:
            return self._call(method, request, timeout)
        except grpc.RpcError as error:
            # What a blocking call raises is a call as well, which its declared type does not say.
            call: Any = error
            raise RunError(f"{method} answered {call.code().name}: {call.details()}") from error

    def _call(self, method: str, request: bytes, timeout: float) -> bytes:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(SERVICE + method)
        return call(request, timeout=timeout)


def _credentials(identity: Path) -> grpc.ChannelCredentials:
    files = (OWN.bundle, OWN.key, OWN.certificate)
    return grpc.ssl_channel_credentials(*((identity / name).read_bytes() for name in files))


def check_answer(port: int, model: Model, path: Path, rows: int) -> int:
    """Asks the server at `port` once and compares its answer with ONNX Runtime on the same file.

    Returns the size of the serialized answer in bytes, by which refused requests show later under load.
    Raises RunError when the call fails or a value is off by more than TOLERANCE.
    """
    values = model.sample(rows)
    with Client(port) as client:
        message = client.infer(infer_request(model, values))
    try:
        found = decode_answer(message, model)
    except ValueError as error:
        raise RunError(f"{model.name}: {error}") from error
    reference = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = reference.run([model.output_name], {model.input_name: values})[0]
    if found.shape != wanted.shape or not np.allclose(found, wanted, atol=TOLERANCE, rtol=TOLERANCE):
        raise RunError(f"{model.name}: the answer for {rows} rows differs from ONNX Runtime's")
    return len(message)
