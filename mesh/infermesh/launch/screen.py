"""What people see of a mesh that runs: its lines, and below them on a terminal a table of who does what."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from infermesh.description.workload import GRPC, HTTP, INBOUND
from infermesh.launch.instance import Instance
from infermesh.launch.process import State
from infermesh.launch.supervisor import Member

_STYLES = {
    State.READY: "green",
    State.UNREADY: "yellow",
    State.PAUSED: "red",
    State.ENDED: "dim",
}


class Traffic(Protocol):
    """What came to an instance lately; None: it is not known."""

    @property
    def rate(self) -> float | None:
        """Requests per second."""

    @property
    def success(self) -> float | None:
        """Share of them."""

    @property
    def p99_ms(self) -> float | None:
        """Of their durations."""


#: By instance; empty: nobody looks.
Numbers = Callable[[], Mapping[str, Traffic]]


def live(console: Console, members: Sequence[Member], numbers: Numbers) -> AbstractContextManager[object]:
    """The table, for as long as the block lasts; nothing where there is no terminal."""
    if not console.is_terminal:
        return nullcontext()
    return Live(console=console, get_renderable=lambda: table(members, numbers()), refresh_per_second=4)


def table(members: Sequence[Member], numbers: Mapping[str, Traffic]) -> Table:
    """One row for each process; what came to an instance stands beside the first of its own."""
    found = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("", "state"):
        found.add_column(name)
    for name in ("per s", "failed", "p99", "restarts"):
        found.add_column(name, justify="right")
    found.add_column("address")
    for member in members:
        for process in member.processes:
            is_first = process is member.processes[0]
            traffic = numbers.get(member.instance.name) if is_first else None
            found.add_row(
                process.command.name,
                Text(process.state, style=_STYLES.get(process.state, "")),
                *_shown(traffic),
                f"{process.restarts}" if process.restarts else "",
                ", ".join(_called_at(member.instance)) if is_first else "",
            )
    return found


def _shown(traffic: Traffic | None) -> Iterator[str | Text]:
    if traffic is None or not traffic.rate:
        yield from ("", "", "")
        return
    failed = 1 - (1 if traffic.success is None else traffic.success)
    yield f"{traffic.rate:,.1f}"
    yield Text(f"{failed:.1%}", style="red") if failed else ""
    yield "" if traffic.p99_ms is None else f"{traffic.p99_ms:.3g} ms"


def addresses(members: Sequence[Member]) -> Iterator[str]:
    """A line for each instance: where it is called."""
    width = max((len(member.instance.name) for member in members), default=0)
    for member in members:
        yield f"  {member.instance.name:<{width}}  {', '.join(_called_at(member.instance))}"


def _called_at(instance: Instance) -> Iterator[str]:
    workload = instance.workload
    if workload.has_port(INBOUND):
        yield f"http://{instance.listen(INBOUND)}"
    if workload.has_port(GRPC):
        yield f"grpc {instance.listen(GRPC)}"
    if workload.has_port(HTTP):
        yield f"http://{instance.listen(HTTP)}"
