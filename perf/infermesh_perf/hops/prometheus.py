"""Reads a server's metrics at an interval while a load runs, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from types import TracebackType
from typing import Self

from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.hops import envoy_metrics, nv_metrics
from infermesh_perf.hops.exposition import Snapshot, endpoint, fetch, parse
from infermesh_perf.hops.gathered import OVER_TIME, Gathered, Gathering

#: What is looked for where nobody chooses.
NAMES = frozenset(
    {
        *OVER_TIME,
        "nv_gpu_memory_total_bytes",
        "nv_cpu_utilization",
        "nv_cpu_memory_used_bytes",
        "nv_inference_pending_request_count",
        *nv_metrics.NAMES,
        *envoy_metrics.NAMES,
    }
)
MIN_INTERVAL_SECONDS = 0.01


class Scraper:
    """Reads metrics from entering the block to leaving it; `begin` and `end` say which of them count.

    The first reading must succeed. One that fails later is counted, and the load goes on: `end` says so.
    """

    def __init__(self, url: str, interval_seconds: float = 1.0, names: Collection[str] = NAMES) -> None:
        """`names` are those of metric families. Raises SetupError for a URL or an interval that is none."""
        if not interval_seconds >= MIN_INTERVAL_SECONDS:
            least = f"{MIN_INTERVAL_SECONDS * 1e3:.0f} ms or more"
            raise SetupError(f"--metrics-interval: found {interval_seconds * 1e3:g}, expected {least}")
        self.url = endpoint(url)
        self._interval = interval_seconds
        self._names = frozenset(names)
        self._lock = threading.Lock()
        self._gathering: Gathering | None = None
        self._began = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        """Reads once and begins to follow. Raises RunError if nothing can be read, or no known metric."""
        first = self._read()
        if not first.gauges and not first.counters:
            some = ", ".join(sorted(self._names)[:3])
            hint = "--metrics-url must name a server under load: infermesh, Triton or Envoy"
            raise RunError(f"{self.url} has none of the metrics that are looked for, such as {some}", hint)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the thread, after the reading that it may be at."""
        self._over.set()
        self._thread.join()

    def begin(self) -> None:
        """The measured time begins: what was read before is forgotten. Reads once."""
        with self._lock:
            self._gathering = Gathering()
            self._began = time.monotonic()
            self._scrape(self._gathering)

    def end(self) -> Gathered:
        """The measured time ends. Reads once more and returns what was read since `begin`."""
        with self._lock:
            gathering, self._gathering = self._gathering, None
            if gathering is None:
                raise ValueError("end of a measured time that did not begin")
            self._scrape(gathering)
            return gathering.result()

    def _follow(self) -> None:
        due = time.monotonic() + self._interval
        while not self._over.wait(max(due - time.monotonic(), 0.0)):
            with self._lock:
                if self._gathering is not None:
                    self._scrape(self._gathering)
            # What was due while this one took its time is left out.
            late = time.monotonic() - due
            due += self._interval * (1 + max(int(late / self._interval), 0))

    def _scrape(self, gathering: Gathering) -> None:
        """With the lock held: readings come one after another, so that the last is the newest."""
        try:
            snapshot = self._read()
        except RunError as error:
            gathering.fail(str(error))
        else:
            gathering.add(time.monotonic() - self._began, snapshot)

    def _read(self) -> Snapshot:
        return parse(fetch(self.url), self._names)
