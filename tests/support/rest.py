"""Plain HTTP, as anybody speaks it, and tritonclient's way of it."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

#: What makes a server listen for HTTP and metrics, too.
HTTP = ("--http-address", "127.0.0.1", "--http-port", "0", "--metrics-port", "0")

#: No call of a test waits longer.
SECONDS = 20.0

HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Answer:
    """Status, headers and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The message of an answer that is an error, and nothing else."""
        assert list(self.json) == ["error"]
        return str(self.json["error"])


class Rest:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def get(self, path: str) -> Answer:
        """GET."""
        return self.call("GET", path)

    def post(self, path: str, body: object = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """POST of bytes, or of anything else as JSON."""
        return self.call("POST", path, body, headers)

    def call(
        self, method: str, path: str, body: object = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Any request, and its answer."""
        self.send(method, path, body, headers)
        return self.answer()

    def send(
        self, method: str, path: str, body: object = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """A request whose answer is not awaited here."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, content, dict(headers or {}))

    def answer(self) -> Answer:
        """The answer to what was sent."""
        response = self.connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())


def json_request(datatype: str, shape: list[int], data: object, **more: object) -> dict[str, object]:
    """A request with one input, `x`, given by value."""
    return {"inputs": [{"name": "x", "datatype": datatype, "shape": shape, "data": data}], **more}


@contextmanager
def triton_client(port: int) -> Iterator[Any]:
    """tritonclient's HTTP client."""
    import tritonclient.http

    with tritonclient.http.InferenceServerClient(
        f"127.0.0.1:{port}", connection_timeout=SECONDS, network_timeout=SECONDS
    ) as client:
        yield client
