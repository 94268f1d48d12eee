"""What a server has loaded, as a table for people."""

from collections.abc import Mapping, Sequence

from infermesh_servers.model.loader import NO_VERSION, Outcome, State


def print_table(outcomes: Sequence[Outcome], labels: Mapping[str, Mapping[str, int]]) -> None:
    """Print one row per version to stdout, with those of its model's ``labels`` that name it."""
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
            _version(outcome.version, labels.get(outcome.name, {})),
            outcome.backend or "-",
            str(outcome.max_batch_size) if ready else "-",
            str(outcome.instances) if ready else "-",
            state,
        )
    Console().print(table)


def _version(number: int, labels: Mapping[str, int]) -> str:
    if number == NO_VERSION:
        return "-"
    names = ", ".join(sorted(label for label, version in labels.items() if version == number))
    return f"{number} ({names})" if names else str(number)
