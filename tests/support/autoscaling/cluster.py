"""All of it in simulated time: two choices among the servers for who arrives, scrapes, decisions."""

import heapq
import itertools
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infermesh.deploy.kubernetes.autoscaling import POLLING

from support.autoscaling.prometheus import SCRAPE, Prometheus
from support.autoscaling.scaler import Scaler
from support.autoscaling.servers import Server, Speed


@dataclass(frozen=True)
class Course:
    """What happened, by minutes from the beginning."""

    #: Milliseconds that 99 of 100 requests waited at most that arrived in that minute.
    p99: Mapping[int, float]
    #: Milliseconds that they waited on average, those whose callers gave up included.
    mean: Mapping[int, float]
    #: Requests that were taken up before their callers gave up.
    answered: Mapping[int, int]
    #: Servers that were asked for at its end.
    replicas: Mapping[int, int]


class Cluster:
    """Servers under load, until a time; `spec` is a ScaledObject's, None: their number stays."""

    def __init__(
        self,
        speed: Speed,
        arrivals: Iterator[float],
        spec: Mapping[str, Any] | None,
        *,
        replicas: int,
        start: float,
        patience: float,
        seed: int = 1,
    ) -> None:
        self._speed = speed
        self._arrivals = arrivals
        self._start = start
        self._patience = patience
        self._chance = random.Random(seed)
        self._servers = [Server(speed) for _ in range(replicas)]
        self._coming = 0
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._waits: defaultdict[int, list[float]] = defaultdict(list)
        self._replicas: dict[int, int] = {}
        for server in self._servers:
            self._watch(server, self._chance.uniform(0, SCRAPE))
        if spec is not None:
            self._scaler = Scaler(spec, replicas)
            self._prometheus = Prometheus(float(spec["triggers"][0]["metadata"]["threshold"]))
            self._at(POLLING, self._decide)
            self._at(POLLING, self._remember)
        else:
            self._prometheus = Prometheus(math.inf)

    def run(self, until: float) -> Course:
        """Let requests arrive until a time, in seconds, and all of them be answered."""
        for arrival in itertools.takewhile(lambda it: it < until, self._arrivals):
            while self._events and self._events[0][0] <= arrival:
                now, _, happens = heapq.heappop(self._events)
                happens(now)
            self._arrive(arrival)
        for server in self._servers:
            self._drain(server, until)
        minutes = dict(sorted(self._waits.items()))
        return Course(
            p99={minute: _p99(waits) for minute, waits in minutes.items()},
            mean={minute: statistics.fmean(waits) for minute, waits in minutes.items()},
            answered={
                minute: sum(it < self._patience * 1000 for it in waits) for minute, waits in minutes.items()
            },
            replicas=self._replicas,
        )

    def _at(self, time: float, happens: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), happens))

    def _arrive(self, now: float) -> None:
        first, second = self._chance.choice(self._servers), self._chance.choice(self._servers)
        server = first if first.pending <= second.pending else second
        server.waiting.append(now)
        self._work(server, now)

    def _work(self, server: Server, now: float) -> None:
        if (done := self._take(server, now)) is not None:
            self._at(done, lambda now: self._finish(server, now))

    def _take(self, server: Server, now: float) -> float | None:
        done = server.take(now, self._patience)
        self._note([(arrived, self._patience) for arrived in server.gone])
        server.gone.clear()
        return done

    def _finish(self, server: Server, now: float) -> None:
        self._note(server.finish())
        self._work(server, now)

    def _note(self, done: list[tuple[float, float]]) -> None:
        for arrived, wait in done:
            self._waits[int(arrived // 60)].append(wait * 1000)

    def _drain(self, server: Server, now: float) -> None:
        """What it has when nobody comes any more."""
        while server.pending:
            if server.batch:
                now = server.since + self._speed.seconds(len(server.batch))
                self._note(server.finish())
            self._take(server, now)

    def _watch(self, server: Server, at: float) -> None:
        def scrape(now: float) -> None:
            if server in self._servers:
                self._prometheus.scrape(now, server)
                self._at(now + SCRAPE, scrape)

        self._at(at, scrape)

    def _remember(self, now: float) -> None:
        self._prometheus.remember(now)
        self._at(now + POLLING, self._remember)

    def _decide(self, now: float) -> None:
        there = len(self._servers) + self._coming
        values = (self._prometheus.queue(now), self._prometheus.load(now))
        change = self._scaler.decide(now, values) - there
        for _ in range(change):
            self._coming += 1
            self._at(now + self._start, self._join)
        for _ in range(-change):
            # It is asked nothing more, and ends what it has.
            self._servers.pop()
        self._replicas[int(now // 60)] = there + change
        self._at(now + POLLING, self._decide)

    def _join(self, now: float) -> None:
        self._coming -= 1
        self._servers.append(Server(self._speed))
        self._watch(self._servers[-1], now + self._chance.uniform(0, SCRAPE))


def _p99(waits: list[float]) -> float:
    return sorted(waits)[math.ceil(len(waits) * 0.99) - 1]
