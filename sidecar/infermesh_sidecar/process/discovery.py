"""Endpoints from files, followed while they change."""

import logging
from collections.abc import Mapping
from pathlib import Path

from infermesh.errors import ConfigurationError
from infermesh.logs import ecs
from infermesh.settings.document import YamlDocument
from infermesh.settings.values import ExpectedError, check_endpoint

from infermesh_sidecar.process.native import Proxy

_log = logging.getLogger("infermesh.sidecar")

#: Between two looks: a file is compared by its contents, however it is replaced.
LOOK_SECONDS = 1.0


def read_endpoints(path: Path, service: str) -> list[str]:
    """The addresses that a file has for a service; raises ConfigurationError that names the line."""
    document = YamlDocument.read(path)
    data = document.data
    if not isinstance(data, dict):
        raise ConfigurationError(
            f"{document.place(())}: expected a mapping of services to lists of addresses"
        )
    if service not in data:
        known = ", ".join(data) or "none"
        raise ConfigurationError(f"{document.place(())}: found no {service}, expected it among {known}")
    found = data[service]
    if not isinstance(found, list):
        raise ConfigurationError(f"{document.place((service,))}: expected a list of addresses")
    for index, address in enumerate(found):
        try:
            check_endpoint(str(address))
        except ExpectedError as error:
            place = document.place((service, index))
            raise ConfigurationError(f"{place}: found {address!r}, expected {error}") from error
    return list(map(str, found))


class Discovery:
    """Tells the data plane about endpoints that come and go; ``look`` is to be called now and then."""

    def __init__(self, proxy: Proxy, files: Mapping[str, Path]) -> None:
        """``files`` are by the service whose endpoints they name, and were read once already."""
        self._proxy = proxy
        self._files = files
        self._last: dict[str, bytes | str] = {name: _contents(path) for name, path in files.items()}

    def look(self) -> None:
        """Compare every file with what it was, and pass on what has changed."""
        for name, path in self._files.items():
            contents = _contents(path)
            if contents != self._last[name]:
                self._last[name] = contents
                self._change(name, path)

    def _change(self, name: str, path: Path) -> None:
        try:
            endpoints = read_endpoints(path, name)
        except ConfigurationError as error:
            _log.warning(
                "%s; %s keeps the endpoints it has",
                error,
                name,
                extra=ecs("endpoints-unreadable", service__target__name=name),
            )
            return
        self._proxy.set_endpoints(name, endpoints)
        _log.info(
            "%s has %d endpoints now: %s",
            name,
            len(endpoints),
            ", ".join(endpoints) or "none",
            extra=ecs("endpoints-changed", service__target__name=name),
        )


def _contents(path: Path) -> bytes | str:
    """What a file holds, or why that cannot be told: a file that comes back is a change, too."""
    try:
        return path.read_bytes()
    except OSError as error:
        return str(error)
