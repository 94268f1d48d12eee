"""What a server has loaded, as a table for people."""

from collections.abc import Sequence

from infermesh_servers.model.loader import NO_VERSION, Outcome, State


def print_table(outcomes: Sequence[Outcome]) -> None:
    """Print one row per version to stdout."""
    # A server that logs JSON never needs it.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("Model", "Version", "Backend", "Batch", "Instances", "State"):
        table.add_column(heading, justify="right" if heading in ("Batch", "Instances") else "left")
    for outcome in outcomes:
        ready = outcome.state is State.READY
        state = Text(outcome.state.value, style="green" if ready else "red")
        if outcome.reason:
            state.append(f"\n{outcome.reason}", style="default")
        table.add_row(
            outcome.name,
            "-" if outcome.version == NO_VERSION else str(outcome.version),
            outcome.backend or "-",
            str(outcome.max_batch_size) if ready else "-",
            str(outcome.instances) if ready else "-",
            state,
        )
    Console().print(table)
