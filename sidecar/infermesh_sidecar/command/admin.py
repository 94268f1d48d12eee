"""Asks a sidecar at its admin endpoint."""

import http
import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.settings.values import split_address

#: Time for an answer, or for the next piece of one that goes on and on.
_SECONDS = 10.0

#: Of a refusal, what is read at most.
_MAX_REFUSAL = 4096


def get(admin: str, path: str) -> Any:
    """What a path answers, from JSON. Raises InfermeshError if there is no sidecar, or it refuses."""
    with _asked(admin, "GET", path, _SECONDS) as answer:
        return json.load(answer)


def post(admin: str, path: str) -> None:
    """Ask for something to be done; raises InfermeshError likewise."""
    with _asked(admin, "POST", path, _SECONDS) as answer:
        answer.read()


def lines(admin: str, path: str) -> Iterator[dict[str, Any]]:
    """The objects of an answer that goes on until the sidecar ends."""
    with _asked(admin, "GET", path, None) as answer:
        for line in answer:
            if line.strip():
                yield json.loads(line)


@contextmanager
def _asked(admin: str, method: str, path: str, seconds: float | None) -> Iterator[http.client.HTTPResponse]:
    """``seconds`` is the time for each piece of the answer; its head has a time in any case."""
    parts = split_address(admin)
    if parts is None:
        raise ConfigurationError(f"--admin: found {admin!r}, expected HOST:PORT such as 127.0.0.1:15000")
    with closing(http.client.HTTPConnection(*parts, timeout=_SECONDS)) as connection:
        try:
            connection.connect()
            opened = connection.sock
            connection.request(method, path)
            answer = connection.getresponse()
            opened.settimeout(seconds)
        except (OSError, http.client.HTTPException) as error:
            raise InfermeshError(
                f"no sidecar answers at {admin}: {error}",
                hint="--admin says where its admin endpoint is; in sidecar.yaml it is admin",
            ) from error
        with answer:
            if answer.status >= 400:
                raise _refusal(f"{admin}{path}", answer)
            try:
                yield answer
            except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
                problem = f"{admin}{path}: the answer ended in the middle: {error}"
                raise InfermeshError(problem) from error


def _refusal(asked: str, answer: http.client.HTTPResponse) -> InfermeshError:
    """What it says itself; 400 is about what was asked for."""
    said = answer.read(_MAX_REFUSAL).decode(errors="replace").strip()
    try:
        said = json.loads(said)["error"]
    except (ValueError, KeyError, TypeError):
        said = f"{answer.status} {answer.reason}: {said}"
    kind = ConfigurationError if answer.status == http.HTTPStatus.BAD_REQUEST else InfermeshError
    return kind(f"{asked} is refused: {said}")
