"""A row for each load, with the column names of perf_analyzer where it has them. Latencies are microseconds.

Its parts of the latency add up to its mean, and so do they here: `Client Send` is from due to sent, whatever
is between client and model belongs to `Network+Server Send/Recv`, and `Client Recv` is 0 because a request
ends here with the last byte of its answer.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from infermesh_perf.results.distribution import PERCENTILES
from infermesh_perf.results.document import Comparison, Level, Run
from infermesh_perf.results.files import write_text

#: Columns of the parts to the hops that they hold.
_PARTS: dict[str, tuple[str, ...]] = {
    "Client Send": ("client lag",),
    "Network+Server Send/Recv": ("network", "sidecar", "server"),
    "Server Queue": ("queue",),
    "Server Compute Input": ("input",),
    "Server Compute Infer": ("compute",),
    "Server Compute Output": ("output",),
    "Client Recv": (),
}
_LISTED = tuple(name for name in PERCENTILES if name != "99.99")


def save(document: Run | Comparison, path: Path) -> None:
    """Writes what `text` makes. Raises SetupError if the file cannot be written."""
    write_text(path, text(document))


def text(document: Run | Comparison) -> str:
    """The levels of a run, or those of both sides of a comparison with the side in front."""
    rows = list(_rows(document))
    # Rows differ in what is known of them: the fullest knows where each column belongs.
    fullest_first = sorted(rows, key=len, reverse=True)
    columns = list(dict.fromkeys(column for row in fullest_first for column in row))
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def _rows(document: Run | Comparison) -> Iterator[dict[str, object]]:
    if isinstance(document, Run):
        yield from map(_row, document.levels)
        return
    for side, run in (("A", document.a), ("B", document.b)):
        yield from ({"Side": side, **_row(level)} for level in run.levels)


def _row(level: Level) -> dict[str, object]:
    load = "Concurrency" if level.load.mode == "concurrency" else "Request Rate"
    return {
        load: f"{level.load.value:g}",
        "Inferences/Second": f"{level.throughput:.1f}",
        **_parts(level),
        **{f"p{name} latency": _us(level.latency.percentiles_ns[name]) for name in _LISTED},
        "Avg latency": _us(level.latency.mean_ns),
        "Max latency": _us(level.latency.max_ns),
        "Rows/Second": f"{level.rows_per_second:.1f}",
        "Completed": level.completed,
        "Failed": level.failed,
        "Error Share": f"{level.error_share:.6f}",
        "Unsent": level.unsent,
        "Seconds": f"{level.seconds:.3f}",
        "Client CPU": f"{level.client_cpu:.3f}",
        "Stable": _word(level.stable),
        "Objective Met": _word(level.objective_met),
        "Valid": _word(level.valid),
        "Failed Checks": "; ".join(check.name for check in level.checks if not check.passed),
    }


def _parts(level: Level) -> dict[str, object]:
    """Nothing where no hop is known, as perf_analyzer leaves them out without the server's statistics."""
    if not level.hops:
        return {}
    return {
        column: _us(sum(hop.mean_ns for hop in level.hops if hop.name in names))
        for column, names in _PARTS.items()
    }


def _us(ns: float) -> str:
    return f"{ns / 1e3:.1f}"


def _word(answer: bool | None) -> str:
    return {None: "", True: "yes", False: "no"}[answer]
