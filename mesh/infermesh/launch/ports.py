"""Ports of this machine for everything that listens: those that mesh.yaml names, and others that are free."""

import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from infermesh.description.workload import Port, Workload
from infermesh.errors import ConfigurationError

HOST = "127.0.0.1"

#: Whose port it is: a workload's name, which one of it, the port's name.
Owner = tuple[str, int, str]


def assign(workloads: Sequence[Workload], remembered: Path) -> Mapping[Owner, int]:
    """A port for each; those that were free the last time, which `remembered` names, are taken again.

    Raises ConfigurationError if one that has to be a certain one is taken.
    """
    wanted = [
        ((workload.name, index, port.name), port, workload)
        for workload in workloads
        for index in range(workload.placement.replicas)
        for port in workload.ports
    ]
    before = _read(remembered)
    found: dict[Owner, int] = {}
    with ExitStack() as held:
        for owner, port, workload in wanted:
            if port.fixed is not None:
                found[owner] = _fixed(held, owner, port, workload)
        for owner, port, _ in wanted:
            if port.fixed is None:
                found[owner] = _free(held, before.get(_key(owner), 0))
    _write(remembered, {_key(owner): number for owner, number in found.items()})
    return found


def _fixed(held: ExitStack, owner: Owner, port: Port, workload: Workload) -> int:
    name, index, _ = owner
    number = port.fixed or 0
    if index and not port.is_foreign:
        raise ConfigurationError(
            f"{name}: {workload.placement.replicas} of it cannot all listen on port {number}",
            hint="on this machine: leave the port out, or run one of it in an environment of its own",
        )
    if port.is_foreign:
        return number
    try:
        _hold(held, number)
    except OSError as error:
        raise ConfigurationError(
            f"{name}: port {number} ({port.name}) cannot be had: {error.strerror}",
            hint=f"find out who has it: ss -ltnp 'sport = :{number}'; or name another one",
        ) from error
    return number


def _free(held: ExitStack, before: int) -> int:
    with suppress(OSError):
        return _hold(held, before)
    return _hold(held, 0)


def _hold(held: ExitStack, number: int) -> int:
    """Keeps it until all are found, so that no two get the same."""
    with ExitStack() as mine:
        listener = mine.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, number))
        # One who is bound without listening does not keep another from binding with SO_REUSEADDR.
        listener.listen(1)
        held.push(mine.pop_all())
        return int(listener.getsockname()[1])


def _key(owner: Owner) -> str:
    name, index, port = owner
    return f"{name}/{index}/{port}"


def _read(file: Path) -> dict[str, int]:
    try:
        known = json.loads(file.read_text())
        return {str(key): int(number) for key, number in known.items()}
    except (OSError, ValueError, AttributeError):
        # It is a convenience: without it, addresses are others than before.
        return {}


def _write(file: Path, numbers: Mapping[str, int]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(numbers, indent=2) + "\n")
