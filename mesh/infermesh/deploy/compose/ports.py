"""Which ports this machine has, so that people and programs outside of the mesh reach them."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from infermesh.description.workload import Port, Workload
from infermesh.errors import ConfigurationError

Address = IPv4Address | IPv6Address

LOOPBACK = IPv4Address("127.0.0.1")


def address(text: str) -> Address:
    """Of this machine. Raises ConfigurationError if it is none."""
    try:
        return ip_address(text)
    except ValueError as error:
        raise ConfigurationError(
            f"--publish: found {text!r}, expected an IP address such as 127.0.0.1, or 0.0.0.0 for all"
        ) from error


def published(
    workload: Workload, index: int, workloads: Mapping[str, Workload], people: Address
) -> list[str]:
    """As Compose says it: those with a number on this machine, and those that others than the mesh call.

    The numbers are the first replica's; further ones get any that is free.
    """
    return list(_published(workload, index, workloads, people))


def _published(
    workload: Workload, index: int, workloads: Mapping[str, Workload], people: Address
) -> Iterator[str]:
    is_called = workload.exposed is None and any(workload.name in it.calls for it in workloads.values())
    for port in workload.ports:
        if port.audience == "itself" or (port.fixed is None and (is_called or port.audience != "mesh")):
            continue
        # What operators look at is neither encrypted nor asks who they are.
        machine = people if port.audience == "mesh" else LOOPBACK
        host = f"[{machine}]" if machine.version == 6 else str(machine)
        fixed = port.fixed if index == 0 else None
        yield f"{host}:{'' if fixed is None else fixed}:{port.number}"


def refuse_shared(workload: Workload, replicas: int) -> None:
    """Raises ConfigurationError if several of one service would have the same port of this machine."""
    ports: list[Port] = [it for it in workload.ports if it.fixed is not None and it.audience != "itself"]
    if replicas > 1 and ports:
        raise ConfigurationError(
            f"{workload.name}: {replicas} of it cannot all listen on port {ports[0].fixed} ({ports[0].name})",
            hint="leave the port out, or run one of it in an environment of its own",
        )
