"""What a search asks for, is told, and finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infermesh_perf.analysis.text import number


@dataclass(frozen=True)
class Trial:
    """One load to be measured."""

    #: Requests per second, or requests under way (then it is whole).
    load: float
    purpose: Literal["double", "bisect", "confirm"]
    #: So many requests at least; 0 leaves it to whoever measures.
    minimum_requests: int


@dataclass(frozen=True)
class Outcome:
    """What a trial showed."""

    #: Whether the objective was met; in a trial to confirm, whether it was also proven.
    met: bool
    #: Whether the figures are about the server: not if the client could not keep up.
    valid: bool = True
    #: Why not, for people.
    reason: str = ""


@dataclass(frozen=True)
class Found:
    """How a search ended."""

    #: The highest load that was confirmed; None if none was.
    load: float | None
    #: `found`: a higher load fails. `maximum`: the highest one allowed is met. `client`: the client cannot
    #: send more. `missed`: not even the lowest load is met. `trials`: they were used up.
    ended: Literal["found", "maximum", "client", "missed", "trials"]
    #: The lowest load that failed, if one did.
    failed: float | None
    #: What the trial said that ended the search upwards.
    reason: str
    trials: tuple[tuple[Trial, Outcome], ...]

    @property
    def sentence(self) -> str:
        """What it means."""
        why = f" ({self.reason})" if self.reason else ""
        if self.load is None:
            return {
                "missed": f"The objective is missed even at the lowest load, {self._least}{why}.",
                "client": f"Nothing can be said about the server: the client does not keep up{why}.",
            }.get(self.ended, f"No load was confirmed within {len(self.trials)} trials{why}.")
        load = number(self.load)
        return {
            "found": f"The objective is met at {load} and missed at {number(self.failed or 0)}{why}.",
            "maximum": f"The objective is met at {load}, the highest load that was allowed.",
            "client": f"The objective is met at {load}, and perhaps above: the client cannot send more{why}.",
        }.get(self.ended, f"The objective is met at {load}; trials ended before a narrower answer.")

    @property
    def _least(self) -> str:
        return number(min(trial.load for trial, _ in self.trials))
