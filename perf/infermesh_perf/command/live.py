"""What is seen while a run goes on: a view that renews itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import Histogram
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from infermesh_perf.analysis import text as texts
from infermesh_perf.load.measure import Progress, Watch
from infermesh_perf.results.document import Level, Load

#: Figures are of about the last second.
RECENT = 4
BAR = 30
#: Levels that stay on the screen.
SHOWN = 12


class View:
    """On standard error, so that results can be redirected. `total` is the number of levels, where known."""

    def __init__(self, title: str, *, quiet: bool, total: int | None = None) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._title = title
        self._quiet = quiet
        self._total = total
        self._live: Live | None = None
        self._done: deque[Level] = deque(maxlen=SHOWN)
        self._recent: deque[load_pb2.LoadSlice] = deque(maxlen=RECENT)
        self._window = 0

    def __enter__(self) -> Self:
        """Begins to show."""
        if not self._quiet and self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clears the screen of what was live."""
        if self._live:
            self._live.stop()

    def watch(self, position: int, load: Load, why: str = "") -> Watch:
        """What is told about one level; `why` says what it is for."""
        self._recent.clear()
        self._window = 0
        name = f"{load} {why}".rstrip()

        def progress(progress: Progress) -> None:
            self._recent.append(progress.slice)
            if self._live:
                self._live.update(self._screen(position, name, progress))
            elif not self._quiet and progress.phase == "measuring" and progress.window != self._window:
                self._window = progress.window
                self._console.print(
                    f"{self._place(position)}{name}: window {progress.window}, {self._figures()}"
                )

        return progress

    def done(self, level: Level) -> None:
        """A level has ended."""
        self._done.append(level)
        if not self._live and not self._quiet:
            self._console.print(f"{level.load}: {_summary(level)}", soft_wrap=True)

    def _place(self, position: int) -> str:
        return f"[{position + 1}/{self._total}] " if self._total and self._total > 1 else ""

    def _screen(self, position: int, name: str, progress: Progress) -> RenderableType:
        head = Text(self._title, style="bold")
        line = Table.grid(padding=(0, 1))
        bar: RenderableType = Text("") if progress.share is None else ProgressBar(1.0, progress.share, BAR)
        line.add_row(
            Text(f"{self._place(position)}{name}"), bar, Text(f"{progress.phase} {progress.seconds:.0f} s")
        )
        return Group(
            head, *(Text(f"  {level.load}: {_summary(level)}") for level in self._done), line, self._figures()
        )

    def _figures(self) -> Text:
        latency, completed, seconds = Histogram(), 0, 0.0
        errors: dict[str, int] = {}
        for each in self._recent:
            seconds += (each.end_ns - each.start_ns) / 1e9
            for workload in each.workloads:
                completed += workload.completed
                latency.merge(Histogram.decode(workload.latency))
                for error in workload.errors:
                    errors[error.kind] = errors.get(error.kind, 0) + error.count
        parts = [texts.rate(completed / seconds if seconds else 0.0)]
        parts += [f"p{at:g} {texts.duration(latency.percentile(at))}" for at in (50, 90, 99) if latency.count]
        parts.append(f"{self._recent[-1].outstanding} under way" if self._recent else "")
        text = Text(", ".join(part for part in parts if part))
        if errors:
            text.append("  " + ", ".join(f"{count:,} {kind}" for kind, count in errors.items()), style="red")
        return text


def _summary(level: Level) -> str:
    latency = level.latency.percentiles_ns
    parts = [
        texts.rate(level.throughput),
        f"p50 {texts.duration(latency['50'])}",
        f"p99 {texts.duration(latency['99'])}",
    ]
    if level.failed:
        parts.append(f"{texts.share(level.error_share)} errors")
    if not level.valid:
        parts.append("INVALID")
    return ", ".join(parts)
