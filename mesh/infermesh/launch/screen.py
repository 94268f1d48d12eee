"""What people see of a mesh that runs: its lines, and below them on a terminal a table of who does what."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from infermesh.description.workload import GRPC, HTTP, INBOUND
from infermesh.launch.instance import Instance
from infermesh.launch.process import Process, State
from infermesh.launch.supervisor import Member

_STYLES = {
    State.READY: "green",
    State.UNREADY: "yellow",
    State.PAUSED: "red",
    State.ENDED: "dim",
}


def live(console: Console, members: Sequence[Member]) -> AbstractContextManager[object]:
    """The table, for as long as the block lasts; nothing where there is no terminal."""
    if not console.is_terminal:
        return nullcontext()
    return Live(console=console, get_renderable=lambda: table(members), refresh_per_second=4)


def table(members: Sequence[Member]) -> Table:
    """One row for each process."""
    found = Table(box=None, header_style="bold", pad_edge=False)
    for name, justify in (("", "left"), ("state", "left"), ("restarts", "right"), ("address", "left")):
        found.add_column(name, justify="right" if justify == "right" else "left")
    for member in members:
        for process in member.processes:
            style = _STYLES.get(process.state, "")
            restarts = f"{process.restarts}" if process.restarts else ""
            found.add_row(
                process.command.name, Text(process.state, style=style), restarts, _address(member, process)
            )
    return found


def addresses(members: Sequence[Member]) -> Iterator[str]:
    """A line for each instance: where it is called."""
    width = max((len(member.instance.name) for member in members), default=0)
    for member in members:
        yield f"  {member.instance.name:<{width}}  {', '.join(_called_at(member.instance))}"


def _address(member: Member, process: Process) -> str:
    is_last = process is member.processes[0]
    return ", ".join(_called_at(member.instance)) if is_last else ""


def _called_at(instance: Instance) -> Iterator[str]:
    workload = instance.workload
    if workload.has_port(INBOUND):
        yield f"http://{instance.listen(INBOUND)}"
    if workload.has_port(GRPC):
        yield f"grpc {instance.listen(GRPC)}"
    if workload.has_port(HTTP):
        yield f"http://{instance.listen(HTTP)}"
