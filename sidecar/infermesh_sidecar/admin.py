"""Asks a sidecar at its admin endpoint."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlencode

from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.settings.values import split_address

#: Where a sidecar has it if nothing else is said.
DEFAULT_ADDRESS = "127.0.0.1:15000"

_HINT = "is the sidecar running? --admin says where; in sidecar.yaml it is admin"

#: Time for an answer.
_SECONDS = 10.0

#: Of an answer that is an error.
_MAX_ERROR_BYTES = 4096


class UnreachableError(InfermeshError):
    """There is nobody at the address, or nobody who answers."""


class Admin:
    """The admin endpoint of one sidecar. Each question has a connection of its own."""

    def __init__(self, address: str, seconds: float = _SECONDS) -> None:
        """``seconds`` is the time for an answer. Raises ConfigurationError for what is no address."""
        parts = split_address(address)
        if parts is None:
            raise ConfigurationError(
                f"--admin: found {address!r}, expected HOST:PORT such as {DEFAULT_ADDRESS}"
            )
        self.address = address
        self._parts = parts
        self._seconds = seconds

    def get(self, path: str) -> Any:
        """What a path answers, from JSON.

        Raises UnreachableError, or InfermeshError if it refuses or is no sidecar's.
        """
        with self._asked("GET", path) as answer:
            try:
                return json.load(answer)
            except json.JSONDecodeError as error:
                raise self._foreign(f"{path} is no JSON") from error

    def text(self, path: str) -> str:
        """What a path answers, as it is: ``/metrics``. Raises as ``get``."""
        with self._asked("GET", path) as answer:
            return answer.read().decode()

    def drain(self) -> None:
        """Ask it to answer what it has accepted, and to end. Raises as ``get``."""
        self._post("/drain")

    def quit(self) -> None:
        """The same, by the name that jobs know. Raises as ``get``."""
        self._post("/quit")

    def tap(self, wanted: Mapping[str, str | Sequence[str] | None]) -> Iterator[bytes]:
        """Requests as they pass, until the sidecar ends: a line of JSON for each beginning, end and loss.

        ``wanted`` are the parameters of ``GET /tap``: all that are not None have to fit. Raises as ``get``,
        and ConfigurationError for a value that it does not know.
        """
        query = urlencode({name: value for name, value in wanted.items() if value is not None}, doseq=True)
        with self._asked("GET", f"/tap?{query}" if query else "/tap", endless=True) as answer:
            yield from answer

    def _post(self, path: str) -> None:
        with self._asked("POST", path) as answer:
            answer.read()

    @contextmanager
    def _asked(self, method: str, path: str, *, endless: bool = False) -> Iterator[http.client.HTTPResponse]:
        """``endless``: nobody knows when the next piece of the answer comes; its head comes in time."""
        with closing(http.client.HTTPConnection(*self._parts, timeout=self._seconds)) as connection:
            with self._told():
                connection.connect()
                opened = connection.sock
                connection.request(method, path)
                answer = connection.getresponse()
                if endless:
                    opened.settimeout(None)
            with answer:
                if answer.status >= 400:
                    raise self._refused(path, answer)
                with self._told():
                    yield answer

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Says of an address what its socket says in other words."""
        try:
            yield
        except TimeoutError as error:
            message = f"{self.address} did not answer within {self._seconds:g} s"
            raise UnreachableError(message, hint=_HINT) from error
        except ConnectionRefusedError as error:
            raise UnreachableError(f"nobody listens on {self.address}", hint=_HINT) from error
        except socket.gaierror as error:
            raise UnreachableError(f"there is no host '{self._parts[0]}'", hint=_HINT) from error
        except (http.client.IncompleteRead, ConnectionError) as error:
            raise UnreachableError(f"{self.address} broke off in the middle of its answer") from error
        except http.client.HTTPException as error:
            raise self._foreign(f"it speaks no HTTP: {error!r}") from error
        except OSError as error:
            problem = f"{self.address} cannot be reached: {error.strerror or error}"
            raise UnreachableError(problem, hint=_HINT) from error

    def _refused(self, path: str, answer: http.client.HTTPResponse) -> InfermeshError:
        said = answer.read(_MAX_ERROR_BYTES).decode(errors="replace").strip()
        try:
            said = str(json.loads(said)["error"])
        except (ValueError, KeyError, TypeError):
            return self._foreign(f"{path} answers {answer.status} {answer.reason}")
        if answer.status == http.client.NOT_FOUND:
            return self._foreign(f"{path} answers 404: {said}")
        if answer.status == http.client.BAD_REQUEST:
            return ConfigurationError(said)
        return InfermeshError(f"{self.address} refuses {path}: {said}")

    def _foreign(self, found: str) -> InfermeshError:
        return InfermeshError(
            f"{self.address} is not the admin endpoint of a sidecar: {found}",
            hint="it may be one of its other listeners, or another program; --admin says where it is",
        )
