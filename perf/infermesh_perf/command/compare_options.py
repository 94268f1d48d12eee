"""The options of `infermesh perf compare` that no other command has, or that mean something else there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from infermesh_perf.analysis import figures
from infermesh_perf.command import values
from infermesh_perf.command.options import LOAD, option
from infermesh_perf.errors import SetupError


@dataclass(frozen=True)
class CompareOptions:
    """What is compared and when sides differ."""

    baseline: Annotated[
        Path | None,
        option(
            "--baseline",
            panel=LOAD,
            metavar="FILE.json",
            says="In place of A: a result with rounds (run --rounds), whose loads are repeated.",
            example="--baseline baseline.json",
        ),
    ] = None
    compare_rounds: Annotated[
        int | None,
        option(
            "--rounds",
            panel=LOAD,
            says="Turns of each side, ABBA; as many as the confidence needs without it.",
            example="--rounds 10",
            least=2,
            most=1000,
        ),
    ] = None
    concurrency_range: Annotated[
        str,
        option(
            "--concurrency-range",
            panel=LOAD,
            metavar="START:END:STEP",
            says="Requests always under way, or a list with commas; 16 without any other load.",
            example="--concurrency-range 1,16,64",
        ),
    ] = ""
    concurrency: Annotated[
        int | None, option("-c", "--concurrency", panel=LOAD, says="One of them.", example="-c 50")
    ] = None
    request_rate_range: Annotated[
        str,
        option(
            "--request-rate-range",
            panel=LOAD,
            metavar="START:END:STEP",
            says="Requests per second.",
            example="--request-rate-range 1000,2000",
        ),
    ] = ""
    rps: Annotated[float | None, option("--rps", panel=LOAD, says="One of them.", example="--rps 2000")] = (
        None
    )
    figures: Annotated[
        str,
        option(
            "--figures",
            panel=LOAD,
            metavar="NAMES",
            says="What is compared: throughput, mean, p50, p90, p95, p99, p99.9.",
            example="--figures throughput,p99,p99.9",
        ),
    ] = ",".join(figures.DEFAULT_FIGURES)
    minimum_effect: Annotated[
        float,
        option(
            "--minimum-effect",
            panel=LOAD,
            metavar="PERCENT",
            says="Differences below it are none.",
            example="--minimum-effect 5",
        ),
    ] = 2.0
    confidence: Annotated[
        float,
        option(
            "--confidence",
            panel=LOAD,
            metavar="PERCENT",
            says="How sure a difference must be.",
            example="--confidence 99",
        ),
    ] = 95.0

    @property
    def figure_names(self) -> list[str]:
        """Those that are compared."""
        return [name.strip() for name in self.figures.split(",") if name.strip()]

    def check(self) -> None:
        """Before anything is measured. Raises SetupError that names the option."""
        if not 50 <= self.confidence < 100:
            raise SetupError(f"--confidence: found {self.confidence:g}, expected 50 to less than 100 percent")
        values.within("--minimum-effect", self.minimum_effect, 0, 1000, "%")
        if not self.figure_names or not set(self.figure_names) <= set(figures.FIGURES):
            raise SetupError(
                f"--figures: found {self.figures!r}, expected some of {','.join(figures.FIGURES)}"
            )
