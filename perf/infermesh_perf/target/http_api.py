"""The v2 protocol over HTTP: the messages that gRPC has, in JSON."""

from __future__ import annotations

import base64
import json
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

from google.protobuf import json_format
from google.protobuf.message import Message
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import model_config_pb2
from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.errors import RunError
from infermesh_perf.target.api import ServerInfo
from infermesh_perf.target.errors import RefusedError
from infermesh_perf.target.http_answer import HEADER_LENGTH, parse_answer
from infermesh_perf.target.http_client import HttpClient
from infermesh_perf.target.target import Target

M = TypeVar("M", bound=Message)


class HttpApi:
    """See `Api`."""

    def __init__(self, target: Target, timeout: float) -> None:
        self.target = target
        self._client = HttpClient(target, timeout)

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to do: each request has a connection of its own."""

    def server(self) -> ServerInfo:
        """What it says about itself."""
        found = self._get("/v2", "its metadata", pb.ServerMetadataResponse())
        return ServerInfo(found.name, found.version, tuple(found.extensions))

    def server_ready(self) -> bool:
        """Whether it serves."""
        return self._is_ready("/v2/health/ready", "its readiness")

    def model_ready(self, name: str, version: str = "") -> bool:
        """Whether it serves a model."""
        return self._is_ready(f"{model_path(name, version)}/ready", f"the readiness of {name!r}")

    def metadata(self, name: str, version: str = "") -> pb.ModelMetadataResponse:
        """A model's tensors."""
        return self._get(model_path(name, version), f"the metadata of {name!r}", pb.ModelMetadataResponse())

    def config(self, name: str, version: str = "") -> model_config_pb2.ModelConfig | None:
        """A model's configuration; None from servers that have none."""
        path, what = f"{model_path(name, version)}/config", f"the configuration of {name!r}"
        return self._optional(path, what, model_config_pb2.ModelConfig())

    def statistics(self, name: str = "", version: str = "") -> pb.ModelStatisticsResponse | None:
        """Counts and durations; None from servers that have none."""
        path = f"{model_path(name, version)}/stats" if name else "/v2/models/stats"
        return self._optional(path, f"the statistics of {name!r}", pb.ModelStatisticsResponse())

    def index(self) -> pb.RepositoryIndexResponse | None:
        """Its models; None from servers that do not tell."""
        try:
            answer = self._client.ask("POST", "/v2/repository/index", "the list of its models", b"{}")
        except RefusedError as error:
            if error.absent:
                return None
            raise
        # Over HTTP it is the list alone.
        body = b'{"models":%s}' % answer.body
        return self._message(body, "the list of its models", pb.RepositoryIndexResponse())

    def register_system_memory(self, name: str, key: str, byte_size: int) -> None:
        """Makes it map an object of system shared memory."""
        self._post(f"/v2/systemsharedmemory/region/{quote(name)}/register", key=key, byte_size=byte_size)

    def unregister_system_memory(self, name: str) -> None:
        """Makes it forget one."""
        self._post(f"/v2/systemsharedmemory/region/{quote(name)}/unregister")

    def register_cuda_memory(self, name: str, handle: bytes, device: int, byte_size: int) -> None:
        """Makes it open GPU memory."""
        self._post(
            f"/v2/cudasharedmemory/region/{quote(name)}/register",
            raw_handle={"b64": base64.b64encode(handle).decode()},
            device_id=device,
            byte_size=byte_size,
        )

    def unregister_cuda_memory(self, name: str) -> None:
        """Makes it forget one."""
        self._post(f"/v2/cudasharedmemory/region/{quote(name)}/unregister")

    def infer(self, path: str, payload: load_pb2.Payload, sequence: int = 0) -> pb.ModelInferResponse:
        """One request."""
        body, length, at = payload.body, payload.json_length, payload.insert_at
        if sequence and at:
            added = b'"sequence_id":%d,"sequence_start":true,"sequence_end":true' % sequence
            added += b"" if body[at : at + 1] == b"}" else b","
            body = body[:at] + added + body[at:]
            length += len(added) if length else 0
        headers = {"content-type": "application/octet-stream" if length else "application/json"}
        if length:
            headers[HEADER_LENGTH] = str(length)
        answer = self._client.ask("POST", path, "an inference", body, headers)
        try:
            return parse_answer(answer.headers, answer.body)
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self.target.address}: the answer to an inference is none: {error}") from error

    def _is_ready(self, path: str, what: str) -> bool:
        try:
            self._client.ask("GET", path, what)
        except RefusedError:
            return False
        return True

    def _get(self, path: str, what: str, into: M) -> M:
        return self._message(self._client.ask("GET", path, what).body, what, into)

    def _optional(self, path: str, what: str, into: M) -> M | None:
        try:
            return self._get(path, what, into)
        except RefusedError as error:
            if error.absent:
                return None
            raise

    def _post(self, path: str, **fields: object) -> None:
        self._client.ask("POST", path, path.removeprefix("/v2/"), json.dumps(fields).encode())

    def _message(self, body: bytes, what: str, into: M) -> M:
        try:
            # Other servers have fields of their own.
            return json_format.Parse(body, into, ignore_unknown_fields=True)
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise RunError(
                f"{self.target.address}: what it says as {what} cannot be read: {error}"
            ) from error


def model_path(name: str, version: str = "") -> str:
    """The path of a model, or of one of its versions."""
    path = f"/v2/models/{quote(name, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path
