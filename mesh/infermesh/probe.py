"""`infermesh-probe URL`: asks somebody whether it is well. For images that hold no other client.

It is run every few seconds beside what does the work, and so imports next to nothing: it is no command of
`infermesh`, whose command line alone takes ten times as long to start.
"""

import argparse
import http.client
import socket
from collections.abc import Callable, Sequence
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.exits import exit_after
from infermesh.settings.values import ExpectedError, parse_duration

_EXPECTED = "http://HOST:PORT/PATH, grpc://HOST:PORT, grpc://HOST:PORT/SERVICE or tcp://HOST:PORT"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Ask and exit: 0 it is well, 1 it is not, 2 usage. ``arguments`` replaces ``sys.argv[1:]``."""
    parser = argparse.ArgumentParser(
        "infermesh-probe",
        description="Asks whether something is well: exit code 0 if it is, 1 if it is not. Over http a "
        "status below 400 is well; over grpc what the health service says; over tcp a connection.",
    )
    parser.add_argument("url", metavar="URL", help=_EXPECTED)
    parser.add_argument("--timeout", metavar="TIME", default="2s", help="for the answer; 2s without it")
    given = parser.parse_args(arguments)
    exit_after(lambda: ask(given.url, given.timeout))


def ask(url: str, timeout: str) -> None:
    """Ask once.

    Raises InfermeshError if it is not well or does not answer, ConfigurationError for what is no such URL or
    time.
    """
    asked, seconds = _address(url), _seconds(timeout)
    try:
        problem = _ASK[asked.scheme](asked, seconds)
    except (OSError, http.client.HTTPException) as error:
        problem = str(error) or type(error).__name__
    if problem is not None:
        raise InfermeshError(f"{url}: {problem}")


def _address(url: str) -> SplitResult:
    try:
        asked = urlsplit(url)
        if asked.scheme in _ASK and asked.hostname and asked.port:
            return asked
    except ValueError:
        # A port that is no number.
        pass
    raise ConfigurationError(f"URL: found {url!r}, expected {_EXPECTED}")


def _seconds(timeout: str) -> float:
    try:
        return parse_duration(timeout).total_seconds()
    except ExpectedError as error:
        raise ConfigurationError(f"--timeout: found {timeout!r}, expected {error}") from error


def _http(asked: SplitResult, timeout: float) -> str | None:
    connection = http.client.HTTPConnection(asked.hostname or "", asked.port, timeout=timeout)
    try:
        path = (asked.path or "/") + (f"?{asked.query}" if asked.query else "")
        connection.request("GET", path, headers={"Connection": "close"})
        status = connection.getresponse().status
    finally:
        connection.close()
    return None if status < 400 else f"answered {status}"


def _grpc(asked: SplitResult, timeout: float) -> str | None:
    # Takes a third of a second to import, which the others need not wait for.
    import grpc

    from infermesh.proto.grpc_health_v1 import health_pb2 as pb
    from infermesh.proto.grpc_health_v1 import health_pb2_grpc as stubs

    with grpc.insecure_channel(f"{asked.hostname}:{asked.port}") as channel:
        request = pb.HealthCheckRequest(service=asked.path.removeprefix("/"))
        try:
            status = stubs.HealthStub(channel).Check(request, timeout=timeout).status
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    serving = pb.HealthCheckResponse.ServingStatus
    return None if status == serving.SERVING else f"answered {serving.Name(status)}"


def _tcp(asked: SplitResult, timeout: float) -> str | None:
    socket.create_connection((asked.hostname or "", asked.port or 0), timeout=timeout).close()
    return None


_ASK: dict[str, Callable[[SplitResult, float], str | None]] = {"http": _http, "grpc": _grpc, "tcp": _tcp}


if __name__ == "__main__":
    main()
