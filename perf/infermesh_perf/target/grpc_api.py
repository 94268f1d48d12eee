"""The v2 protocol over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import model_config_pb2
from infermesh.proto.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.target.api import ServerInfo
from infermesh_perf.target.channel import channel, connected, metadata
from infermesh_perf.target.errors import RefusedError
from infermesh_perf.target.grpc_errors import translate
from infermesh_perf.target.target import Target

SERVICE = "/inference.GRPCInferenceService/"
INFER = f"{SERVICE}ModelInfer"
STREAM_INFER = f"{SERVICE}ModelStreamInfer"

T = TypeVar("T")


class GrpcApi:
    """See `Api`. Raises SetupError and OSError where `credentials` does."""

    def __init__(self, target: Target, timeout: float) -> None:
        self.target = target
        self._timeout = timeout
        self._channel = channel(target)
        self._stub = GRPCInferenceServiceStub(self._channel)
        self._metadata = metadata(target)

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the channel."""
        self._channel.close()

    def server(self) -> ServerInfo:
        """What it says about itself."""
        found = self._call(self._stub.ServerMetadata, pb.ServerMetadataRequest(), "ServerMetadata")
        return ServerInfo(found.name, found.version, tuple(found.extensions))

    def server_ready(self) -> bool:
        """Whether it serves."""
        return self._call(self._stub.ServerReady, pb.ServerReadyRequest(), "ServerReady").ready

    def model_ready(self, name: str, version: str = "") -> bool:
        """Whether it serves a model; servers that call an unknown model an error have none that is ready."""
        request = pb.ModelReadyRequest(name=name, version=version)
        try:
            return self._call(self._stub.ModelReady, request, f"ModelReady of {name!r}").ready
        except RefusedError:
            return False

    def metadata(self, name: str, version: str = "") -> pb.ModelMetadataResponse:
        """A model's tensors."""
        request = pb.ModelMetadataRequest(name=name, version=version)
        return self._call(self._stub.ModelMetadata, request, f"ModelMetadata of {name!r}")

    def config(self, name: str, version: str = "") -> model_config_pb2.ModelConfig | None:
        """A model's configuration; None from servers that have none."""
        request = pb.ModelConfigRequest(name=name, version=version)
        found = self._optional(self._stub.ModelConfig, request, f"ModelConfig of {name!r}")
        return found.config if found is not None else None

    def statistics(self, name: str = "", version: str = "") -> pb.ModelStatisticsResponse | None:
        """Counts and durations; None from servers that have none."""
        request = pb.ModelStatisticsRequest(name=name, version=version)
        return self._optional(self._stub.ModelStatistics, request, f"ModelStatistics of {name!r}")

    def index(self) -> pb.RepositoryIndexResponse | None:
        """Its models; None from servers that do not tell."""
        return self._optional(self._stub.RepositoryIndex, pb.RepositoryIndexRequest(), "RepositoryIndex")

    def register_system_memory(self, name: str, key: str, byte_size: int) -> None:
        """Makes it map an object of system shared memory."""
        request = pb.SystemSharedMemoryRegisterRequest(name=name, key=key, byte_size=byte_size)
        self._call(self._stub.SystemSharedMemoryRegister, request, "SystemSharedMemoryRegister")

    def unregister_system_memory(self, name: str) -> None:
        """Makes it forget one."""
        request = pb.SystemSharedMemoryUnregisterRequest(name=name)
        self._call(self._stub.SystemSharedMemoryUnregister, request, "SystemSharedMemoryUnregister")

    def register_cuda_memory(self, name: str, handle: bytes, device: int, byte_size: int) -> None:
        """Makes it open GPU memory."""
        request = pb.CudaSharedMemoryRegisterRequest(
            name=name, raw_handle=handle, device_id=device, byte_size=byte_size
        )
        self._call(self._stub.CudaSharedMemoryRegister, request, "CudaSharedMemoryRegister")

    def unregister_cuda_memory(self, name: str) -> None:
        """Makes it forget one."""
        request = pb.CudaSharedMemoryUnregisterRequest(name=name)
        self._call(self._stub.CudaSharedMemoryUnregister, request, "CudaSharedMemoryUnregister")

    def infer(self, path: str, payload: load_pb2.Payload, sequence: int = 0) -> pb.ModelInferResponse:
        """One request; on a stream, its first answer."""
        request = pb.ModelInferRequest.FromString(payload.body)
        if sequence:
            request.parameters["sequence_id"].int64_param = sequence
            request.parameters["sequence_start"].bool_param = True
            request.parameters["sequence_end"].bool_param = True
        what = f"an inference of {request.model_name!r}"
        if path == STREAM_INFER:
            return self._first(request, what)
        return self._call(self._stub.ModelInfer, request, what)

    def _first(self, request: pb.ModelInferRequest, what: str) -> pb.ModelInferResponse:
        def ask(requests: Iterator[pb.ModelInferRequest], **options: Any) -> pb.ModelStreamInferResponse:
            answers = self._stub.ModelStreamInfer(requests, **options)
            try:
                return next(
                    answers, pb.ModelStreamInferResponse(error_message="the stream ended without one")
                )
            finally:
                answers.cancel()

        answer = self._call(ask, iter([request]), what)
        if answer.error_message:
            # A stream's errors have no codes.
            raise RefusedError(self.target.address, what, "error", answer.error_message)
        return answer.infer_response

    def _optional(self, method: Callable[..., T], request: object, what: str) -> T | None:
        try:
            return self._call(method, request, what)
        except RefusedError as error:
            if error.absent:
                return None
            raise

    def _is_connected(self) -> bool:
        return connected(self._channel)

    def _call(self, method: Callable[..., T], request: object, what: str) -> T:
        try:
            return method(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise translate(error, self.target.address, what, self._is_connected) from error
