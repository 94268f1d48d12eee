"""Model servers that batch: requests wait in a queue of each, and as many as fit are answered at a time."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Speed:
    """How long a batch takes, in seconds: some time in any case, and some for each request in it."""

    always: float
    each: float
    most: int

    def seconds(self, requests: int) -> float:
        """Of a batch."""
        return self.always + self.each * requests


@dataclass
class Server:
    """One of them. Its counters are what /metrics shows: of requests that have been answered."""

    speed: Speed
    waiting: deque[float] = field(default_factory=deque)
    #: When those arrived that are being answered, and when they were taken up.
    batch: list[float] = field(default_factory=list)
    since: float = 0.0
    #: When those arrived whose callers would not wait any longer.
    gone: list[float] = field(default_factory=list)
    answered: int = 0
    waited: float = 0.0

    @property
    def pending(self) -> int:
        """Requests that it has."""
        return len(self.waiting) + len(self.batch)

    def take(self, now: float, patience: float) -> float | None:
        """Begin a batch if there is anything to do; returns when it will be done.

        Those whose callers have gone are left out.
        """
        if self.batch:
            return None
        while self.waiting and now - self.waiting[0] > patience:
            self.gone.append(self.waiting.popleft())
        if not self.waiting:
            return None
        self.batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), self.speed.most))]
        self.since = now
        return now + self.speed.seconds(len(self.batch))

    def finish(self) -> list[tuple[float, float]]:
        """End a batch; returns of each request when it arrived and how long it waited."""
        done = [(arrived, self.since - arrived) for arrived in self.batch]
        self.answered += len(done)
        self.waited += sum(wait for _, wait in done)
        self.batch = []
        return done
