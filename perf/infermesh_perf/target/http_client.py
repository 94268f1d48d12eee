"""One HTTP request with a deadline, a connection for each."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any

from infermesh_perf.errors import RunError
from infermesh_perf.target.errors import RefusedError, denied
from infermesh_perf.target.sockets import connect
from infermesh_perf.target.target import Target

_CHUNK = 1 << 20


@dataclass(frozen=True)
class HttpAnswer:
    """Status, headers with names in lower case, and body."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient:
    """Sends requests to one target; may be used from any thread."""

    def __init__(self, target: Target, timeout: float) -> None:
        self._target = target
        self._timeout = timeout

    def ask(
        self, method: str, path: str, what: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> HttpAnswer:
        """The answer to a request for `what`, if its status is 200.

        Raises RefusedError for another one, SetupError if the server does not let this client in, RunError if
        there is no answer.
        """
        answer = self._send(method, path, what, body, headers or {})
        if answer.status == 200:
            return answer
        said = _message(answer.body)
        if answer.status in (401, 403):
            raise denied(self._target.address, f"HTTP {answer.status}", said)
        raise RefusedError(self._target.address, what, f"HTTP {answer.status}", said)

    def _send(self, method: str, path: str, what: str, body: bytes, headers: dict[str, str]) -> HttpAnswer:
        address = self._target.address
        deadline = time.monotonic() + self._timeout
        connection = http.client.HTTPConnection(address.host, address.port)
        # It is connected here, so that both protocols say the same about a connection that cannot be made.
        connection.sock = stream = connect(address, self._target.tls, self._timeout)
        try:
            host = self._target.authority or address.authority
            connection.request(method, path, body, {"host": host, **dict(self._target.headers), **headers})
            response = connection.getresponse()
            content = bytearray()
            while not response.isclosed():
                stream.settimeout(max(deadline - time.monotonic(), 0.001))
                content += response.read(_CHUNK)
        except TimeoutError as error:
            raise RunError(f"{address} did not answer {what} in time") from error
        except (OSError, http.client.HTTPException) as error:
            # What is no HTTP may be anything, and nothing to print.
            why = str(error) if isinstance(error, OSError) else "what it answers is not HTTP"
            hint = f"is this its port for HTTP? {_other(self._target)}"
            raise RunError(f"cannot reach {address}: {why}", hint) from error
        finally:
            connection.close()
        return HttpAnswer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, bytes(content)
        )


def _message(body: bytes) -> str:
    """What an error says, whichever server said it."""
    try:
        found: Any = json.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return str(found.get("error") or found.get("detail") or found)
    return body.decode(errors="replace").strip()[:500]


def _other(target: Target) -> str:
    if target.tls is not None:
        return "Does the server want a client certificate? --cert and --key"
    return f"If it is encrypted, say https://{target.address.text}; if it is for gRPC, -i grpc"
