"""Exit codes of the perf commands: 0, 1 and 2 as everywhere in infermesh, and what a measurement can add."""

from __future__ import annotations

from infermesh_perf.results.document import Comparison, Run

DONE = 0
FAILED = 1
USAGE = 2
#: The figures say nothing about the server: the client could not keep up, or the server went away.
INVALID = 3
#: The objective was missed.
MISSED = 4
#: B is worse than A, or than the baseline.
WORSE = 5

TABLE = """\b
Exit codes:
  0  done, and the objective was met if there was one
  1  failed: the target cannot be reached or refuses, a file cannot be written
  2  usage: an option, a file of data or an objective is wrong
  3  the measurement is invalid, and the output says why
  4  the objective was missed
  5  a comparison found B worse than A
"""


def of_run(run: Run) -> int:
    """Whether something was learned comes before what was learned.

    A sweep goes on to loads that no server bears: its objective is met if any level meets it.
    """
    if not run.valid:
        return INVALID
    met = [level.objective_met for level in run.levels if level.objective_met is not None]
    return MISSED if met and not any(met) else DONE


def of_search(run: Run) -> int:
    """A search ends at what the client can send, or with what was certified, or without anything."""
    if run.cut_short or (run.certificate is None and not run.valid):
        return INVALID
    met = [level for level in run.levels if level.valid and level.objective_met]
    return DONE if run.certificate is not None or met else MISSED


def of_comparison(comparison: Comparison) -> int:
    """An invalid side makes the whole invalid."""
    if not comparison.valid:
        return INVALID
    return WORSE if comparison.verdict == "worse" else DONE
