"""What `infermesh_perf.bench.load_step` recorded of a real server, to be replayed."""

import itertools
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.autoscaling.servers import Speed

RESULTS = Path(__file__).parents[3] / "perf" / "results"

#: Seconds of a load that are repeated as a piece.
BLOCK = 10.0


@dataclass(frozen=True)
class Load:
    """Which of the recorded loads comes, and the share of its requests that do."""

    phase: str
    share: float = 1.0


@dataclass(frozen=True)
class Record:
    """One record."""

    slot: float
    #: By name, what came and what became of it, as the file has it.
    phases: Mapping[str, Mapping[str, Any]]
    #: By rows, how many batches there were and their mean time, as the file has it.
    batches: Sequence[Mapping[str, Any]]
    #: Seconds until callers gave up.
    patience: float

    @classmethod
    def newest(cls) -> "Record":
        """Of those in the repository."""
        found = json.loads(max(RESULTS.glob("load-step-*.json")).read_text(encoding="utf-8"))
        return cls(
            found["slot_seconds"], found["phases"], found["batches"], found["options"]["patience_seconds"]
        )

    def speed(self) -> Speed:
        """The line through the recorded times of batches, each of which counts as often as it ran."""
        ran = sum(it["count"] for it in self.batches)
        rows = sum(it["count"] * it["rows"] for it in self.batches) / ran
        mean = sum(it["count"] * it["mean_ms"] for it in self.batches) / ran
        together = sum(it["count"] * (it["rows"] - rows) * (it["mean_ms"] - mean) for it in self.batches)
        each = together / sum(it["count"] * (it["rows"] - rows) ** 2 for it in self.batches)
        return Speed(
            always=(mean - each * rows) / 1000,
            each=each / 1000,
            most=max(it["rows"] for it in self.batches),
        )

    def arrivals(self, load: Callable[[float], Load], seed: int = 1) -> Iterator[float]:
        """Moments, in seconds, at which requests come, without end.

        Each load comes as it was recorded, in blocks of 10 s; when the record is over, blocks of it are drawn
        by chance. So are the moments within a slot, of which the record only says how many came, and those
        that come of a share.
        """
        chance = random.Random(seed)
        blocks = {name: self._blocks(name, chance) for name in self.phases}
        for begin in itertools.count(0.0, BLOCK):
            now = load(begin)
            for slot, count in enumerate(next(blocks[now.phase])):
                for moment in sorted(chance.random() for _ in range(count)):
                    if chance.random() < now.share:
                        yield begin + (slot + moment) * self.slot

    def _blocks(self, phase: str, chance: random.Random) -> Iterator[list[int]]:
        counts = [int(it) for it in self.phases[phase]["arrivals"].split()]
        length = round(BLOCK / self.slot)
        recorded = [counts[at : at + length] for at in range(0, len(counts) - length + 1, length)]
        yield from recorded
        while True:
            yield chance.choice(recorded)
