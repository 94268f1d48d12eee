"""Finds the highest load that meets an objective: doubles until it fails, halves the gap, confirms what it
found.

Whoever measures asks for the `next` trial and `tell`s its outcome, until there is none. Short trials lead to
a load; a last one with enough requests for a certificate confirms it, or the search steps down. A single
trial may fail by chance: the one that ends the doubling is repeated, because all that follows rests on it.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

from infermesh_perf.analysis.search_bounds import check_bounds
from infermesh_perf.analysis.search_steps import Found, Outcome, Trial

Steps = Generator[Trial, Outcome]


@dataclass(frozen=True)
class _Bracket:
    """Between which loads the answer lies. `outcome` is that of the trial which ended the search upwards."""

    met: float | None
    failed: float | None
    outcome: Outcome | None


class Search:
    """A search, one trial after the other."""

    def __init__(
        self,
        start: float,
        maximum: float,
        precision: float = 0.05,
        *,
        whole: bool = False,
        confirm_requests: int = 0,
        max_trials: int = 40,
    ) -> None:
        """From `start`, the lowest load of interest, to `maximum`, until the gap is at most `precision` of
        the load.

        `whole` loads are requests under way, others are requests per second. Raises SetupError for bounds
        between which nothing can be found.
        """
        check_bounds(start, maximum, precision, whole, max_trials)
        self._start = start
        self._maximum = maximum
        self._precision = precision
        self._whole = whole
        self._confirm_requests = confirm_requests
        self._max_trials = max_trials
        self._tried: list[tuple[Trial, Outcome]] = []
        self._result: Found | None = None
        self._steps = self._run()
        self._trial: Trial | None = next(self._steps)

    def next(self) -> Trial | None:
        """What to measure now: the same until its outcome is told. None: the search has ended."""
        return self._trial

    def tell(self, outcome: Outcome) -> None:
        """How the trial went. Raises RuntimeError if the search has ended."""
        if self._trial is None:
            raise RuntimeError("the search has ended, there is no trial to tell the outcome of")
        self._tried.append((self._trial, outcome))
        try:
            self._trial = self._steps.send(outcome)
        except StopIteration as end:
            self._trial, self._result = None, end.value

    @property
    def result(self) -> Found | None:
        """What was found; None while there are trials left."""
        return self._result

    @property
    def _left(self) -> int:
        return self._max_trials - len(self._tried)

    def _run(self) -> Generator[Trial, Outcome, Found]:
        bracket = yield from self._double()
        bracket = yield from self._bisect(bracket)
        return (yield from self._confirm(bracket))

    def _double(self) -> Generator[Trial, Outcome, _Bracket]:
        load, met = self._start, None
        # One trial is kept to confirm with.
        while self._left > 1:
            outcome = yield Trial(load, "double", 0)
            if not _good(outcome) and self._left > 1:
                outcome = yield Trial(load, "double", 0)
            if not _good(outcome):
                return _Bracket(met, load, outcome)
            met = load
            if load >= self._maximum:
                break
            load = min(2 * load, self._maximum)
        return _Bracket(met, None, None)

    def _bisect(self, bracket: _Bracket) -> Generator[Trial, Outcome, _Bracket]:
        met, failed, outcome = bracket.met, bracket.failed, bracket.outcome
        # Between what the server bears and what the client cannot send, only the client would be measured.
        while (
            met is not None
            and failed is not None
            and outcome is not None
            and outcome.valid
            and self._left > 1
        ):
            middle = (met + failed) / 2
            if self._whole:
                middle = math.floor(middle)
            if failed - met <= self._precision * met or middle <= met:
                break
            tried = yield Trial(middle, "bisect", 0)
            if _good(tried):
                met = middle
            else:
                failed, outcome = middle, tried
        return _Bracket(met, failed, outcome)

    def _confirm(self, bracket: _Bracket) -> Generator[Trial, Outcome, Found]:
        load, failed, outcome = bracket.met, bracket.failed, bracket.outcome
        step = self._precision
        while load is not None and self._left > 0:
            tried = yield Trial(load, "confirm", self._confirm_requests)
            if _good(tried):
                return self._found(load, failed, outcome)
            failed, outcome = load, tried
            # Farther each time: short trials that misled once may have misled by more than the precision.
            load = self._below(load, step)
            step = min(step + self._precision, 0.5)
        return self._found(None, failed, outcome)

    def _below(self, load: float, step: float) -> float | None:
        if load <= self._start:
            return None
        lower = load * (1 - step)
        return max(self._start, math.floor(lower) if self._whole else lower)

    def _found(self, load: float | None, failed: float | None, outcome: Outcome | None) -> Found:
        reason = outcome.reason if outcome else ""
        tried = tuple(self._tried)
        if outcome is not None and not outcome.valid:
            return Found(load, "client", failed, reason, tried)
        if load is None:
            lowest = failed is not None and failed <= self._start
            return Found(None, "missed" if lowest else "trials", failed, reason, tried)
        if failed is None:
            return Found(load, "maximum" if load >= self._maximum else "trials", None, reason, tried)
        return Found(load, "found", failed, reason, tried)


def _good(outcome: Outcome) -> bool:
    return outcome.met and outcome.valid
