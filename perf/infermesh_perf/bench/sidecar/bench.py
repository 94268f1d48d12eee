"""All parts, one after the other, into one result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from infermesh_perf import machine
from infermesh_perf.bench import result_file
from infermesh_perf.bench.entry import wide_console
from infermesh_perf.bench.measure import Plan
from infermesh_perf.bench.sidecar import costs, fronts, pairs, report, starts
from infermesh_perf.bench.sidecar.result import Result
from infermesh_perf.bench.sidecar.stage import Stage

#: By the name that each has on the command line and in the result.
PARTS: Mapping[str, Callable[[Stage], Any]] = {
    "fronts": fronts.measure,
    "pairs": pairs.measure,
    "costs": costs.measure,
    "starts": starts.measure,
}


def measure_and_show(root: Path, plan: Plan, parts: Sequence[str], out: Path | None) -> None:
    """Measures the parts, writes the result into a file and prints its tables.

    Raises SetupError when something is missing, RunError when something fails.
    """
    stage = Stage(root, plan, lambda what: typer.echo(what, err=True))
    stage.install()
    options = {
        "rounds": plan.rounds,
        "duration_seconds": plan.seconds,
        "streams": list(plan.streams),
        "parts": list(parts),
    }
    taking_part = (stage.triton, stage.infermesh, stage.envoy, stage.sidecar)
    begun = result_file.begin(options, result_file.versions(plan.tool, taking_part))
    load = machine.load_average()
    found = {part: PARTS[part](stage) for part in parts}
    result = Result(begun, load, stage.crashes, **found)
    path = result_file.save(result.as_json(), "sidecar", root, out)
    console = wide_console()
    for table in report.tables(result):
        console.print(table)
    console.print(f"written to {path}", highlight=False, soft_wrap=True)
