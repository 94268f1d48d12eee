"""What Prometheus knows of servers, and what the queries of the triggers come to on it."""

from collections import deque
from dataclasses import dataclass, field

from infermesh.deploy.kubernetes.autoscaling import ANSWER_SHARE, ASKED_AT_MOST

from support.autoscaling.servers import Server

SCRAPE = 15.0
WINDOW = 60.0


@dataclass
class _Series:
    """Samples of one server: time, requests answered, seconds that they waited."""

    samples: deque[tuple[float, int, float]] = field(default_factory=lambda: deque(maxlen=8))

    def rates(self, now: float) -> tuple[float, float] | None:
        """Answers and seconds of waiting, each per second; None of fewer than two samples."""
        inside = [it for it in self.samples if now - WINDOW < it[0] <= now]
        if len(inside) < 2:
            return None
        (begin, answered, waited), (end, answered_at_end, waited_at_end) = inside[0], inside[-1]
        return (answered_at_end - answered) / (end - begin), (waited_at_end - waited) / (end - begin)


class Prometheus:
    """Scrapes, and answers the two queries."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._series: dict[int, _Series] = {}
        self._most = 0.0

    def scrape(self, now: float, server: Server) -> None:
        """Take a sample of one server."""
        self._series.setdefault(id(server), _Series()).samples.append((now, server.answered, server.waited))

    def queue(self, now: float) -> float:
        """Milliseconds that requests wait on average, of each server, added up."""
        return sum(min(queue, ASKED_AT_MOST * self._threshold) for _, queue in self._known(now))

    def load(self, now: float) -> float:
        """How many servers are needed; none until requests have queued."""
        return (
            sum(answers for answers, _ in self._known(now)) / self._most / ANSWER_SHARE if self._most else 0.0
        )

    def remember(self, now: float) -> None:
        """A step of the subquery: what one answers at most of those where requests queue."""
        full = [answers for answers, queue in self._known(now) if queue > self._threshold]
        self._most = max([self._most, *full])

    def _known(self, now: float) -> list[tuple[float, float]]:
        rates = [it.rates(now) for it in self._series.values()]
        return [
            (answers, waited / answers * 1000 if answers else 0.0) for answers, waited in filter(None, rates)
        ]
