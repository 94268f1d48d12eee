"""Carries a search out on a target: measures what it asks for, tells it what was seen."""

from __future__ import annotations

import math
from dataclasses import replace

from infermesh_perf.analysis.binomial import requests_needed, share_above
from infermesh_perf.analysis.certificate import certificate
from infermesh_perf.analysis.claims import Claim, claims
from infermesh_perf.analysis.search import Search
from infermesh_perf.analysis.search_steps import Outcome, Trial
from infermesh_perf.analysis.slo import Objective
from infermesh_perf.command.live import View
from infermesh_perf.command.session import Session
from infermesh_perf.errors import RunError
from infermesh_perf.load.levels import cut_short_by
from infermesh_perf.load.pacing import Pacing
from infermesh_perf.results.document import Certificate, Level, Load

#: Seconds of a trial that only leads the way, unless -z says otherwise.
TRIAL_SECONDS = 2.0
#: Of one that confirms: what comes every few seconds must have a chance to show.
CONFIRM_SECONDS = 6.0
#: A proof that a little more would bring is not given up for a lower load: how much more at most, and how
#: much beyond what it seems to need.
MOST_LONGER = 8
LONGER = 1.3


class Searcher:
    """Measures what the search asks for, and keeps the last level of each load."""

    def __init__(
        self, found: Session, objective: Objective, search: Search, view: View, *, concurrency: bool
    ) -> None:
        """`concurrency`: loads are requests under way, and not requests per second."""
        self._session = found
        self._objective = objective
        self._confidence = found.driver.context.confidence
        self._view = view
        self._concurrency = concurrency
        self._search = search
        self._levels: dict[float, Level] = {}
        self.certificate: Certificate | None = None

    def run(self) -> None:
        """Until the search has ended, or the run is cut short."""
        position = 0
        while (trial := self._search.next()) is not None:
            try:
                level = self._measure(position, trial)
                longer = self._longer(trial, level)
                if longer is not None:
                    level = self._measure(position, longer)
            except (RunError, KeyboardInterrupt) as error:
                if not self._levels:
                    raise
                self._session.driver.cut_short = cut_short_by(error, self._load(trial))
                return
            position += 1
            self._levels[trial.load] = level
            self._view.done(level)
            if self._session.driver.cut_short:
                return
            self._search.tell(self._outcome(trial, level))

    @property
    def levels(self) -> list[Level]:
        """In the order of their loads."""
        return [self._levels[load] for load in sorted(self._levels)]

    @property
    def sentence(self) -> str:
        """What was found."""
        found = self._search.result
        return found.sentence if found else "the search was cut short"

    def _load(self, trial: Trial) -> Load:
        if self._concurrency:
            return Load(mode="concurrency", value=trial.load)
        distribution = self._session.driver.sending_distribution
        return Load(mode="rate", value=round(trial.load, 1), distribution=distribution)

    def _measure(self, position: int, trial: Trial) -> Level:
        load = self._load(trial)
        watch = self._view.watch(position, load, f"({trial.purpose})")
        return self._session.driver.run(load, watch, self._pacing(trial))

    def _pacing(self, trial: Trial) -> Pacing:
        percentile = self._objective.needs_percentile
        needed = trial.minimum_requests
        if percentile is not None:
            needed = max(needed, requests_needed(share_above(percentile), self._confidence))
        pacing = self._session.driver.pacing
        least = pacing.seconds or (CONFIRM_SECONDS if trial.purpose == "confirm" else TRIAL_SECONDS)
        if not self._concurrency:
            least = max(least, 1.1 * needed / trial.load)
        return replace(pacing, seconds=least, requests=None, minimum_requests=needed)

    def _longer(self, trial: Trial, level: Level) -> Trial | None:
        """The same trial with as many requests as a proof needs, where that is all that is missing."""
        if trial.purpose != "confirm" or not level.valid or self._session.driver.cut_short:
            return None
        if not all(judgement.met for judgement in self._objective.judge(level)):
            return None
        needed = [claim.needed for claim in self._claims(level) if not claim.proven]
        wanted = max((count for count in needed if count is not None), default=0)
        if not needed or None in needed or wanted > MOST_LONGER * level.completed:
            return None
        return replace(trial, minimum_requests=math.ceil(LONGER * wanted))

    def _claims(self, level: Level) -> list[Claim]:
        return claims(self._objective, level, self._confidence)

    def _outcome(self, trial: Trial, level: Level) -> Outcome:
        failed = [check for check in level.checks if not check.passed]
        if failed and level.completed:
            return Outcome(False, False, "; ".join(f"{check.name} {check.found}" for check in failed))
        missed = [str(judgement) for judgement in self._objective.judge(level) if not judgement.met]
        if missed or trial.purpose != "confirm":
            return Outcome(not missed, True, ", ".join(missed))
        doubtful = [claim for claim in self._claims(level) if not claim.proven]
        if doubtful:
            return Outcome(False, True, ", ".join(map(str, doubtful)))
        self.certificate = certificate(self._objective, level, self._confidence)
        return Outcome(True)
