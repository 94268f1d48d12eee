"""`infermesh perf search`: the highest load that meets an objective, with a certificate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated

import typer
from infermesh.grouped import grouped

from infermesh_perf.analysis import slo
from infermesh_perf.analysis.certificate import requests_to_certify
from infermesh_perf.analysis.search import Search
from infermesh_perf.command import exits, results, values
from infermesh_perf.command.live import View
from infermesh_perf.command.options import (
    LOAD,
    TIME,
    InputOptions,
    OutputOptions,
    SendingOptions,
    ServerOptions,
    TargetOptions,
    TimeOptions,
    WarmUpOptions,
    option,
)
from infermesh_perf.command.searching import Searcher
from infermesh_perf.command.session import Options, session
from infermesh_perf.errors import SetupError

EXAMPLES = f"""\b
Examples:
  infermesh perf search -m digits --slo 'p99<20ms,errors<0.1%'
  infermesh perf search -m digits --slo 'p99.9<50ms' --range 500:20000 --precision 2 --report out.html
  infermesh perf search -m bert -b 8 --slo 'mean<100ms' --by concurrency

{exits.TABLE}"""

#: Of what the client can send at most: beyond it the verdict would be about the client.
OF_CEILING = 0.75
HIGHEST_RATE = 1_000_000.0
HIGHEST_CONCURRENCY = 4096.0


class By(StrEnum):
    """What is raised."""

    RATE = "rate"
    CONCURRENCY = "concurrency"


@dataclass(frozen=True)
class SearchOptions:
    """What is looked for, and where."""

    slo: Annotated[
        str,
        option(
            "--slo",
            panel=LOAD,
            metavar="LIMITS",
            says="The objective: p50 to p99.999, mean, max, errors.",
            example="--slo 'p99<20ms,errors<0.1%'",
        ),
    ]
    by: Annotated[
        By,
        option(
            "--by",
            panel=LOAD,
            says="Raise requests per second, or requests under way.",
            example="--by concurrency",
        ),
    ] = By.RATE
    range: Annotated[
        str,
        option(
            "--range",
            panel=LOAD,
            metavar="LOWEST:HIGHEST",
            says="Loads of interest; from 100/s, or 1 under way, up to what this client can send.",
            example="--range 500:20000",
        ),
    ] = ""
    precision: Annotated[
        float,
        option(
            "--precision",
            panel=LOAD,
            metavar="PERCENT",
            says="How near the answer must be to the first load that fails.",
            example="--precision 2",
        ),
    ] = 5.0
    confidence: Annotated[
        float,
        option(
            "--confidence",
            panel=LOAD,
            metavar="PERCENT",
            says="How sure the certificate is.",
            example="--confidence 95",
        ),
    ] = 99.0
    duration: Annotated[
        str,
        option(
            "-z",
            "--duration",
            panel=TIME,
            metavar="TIME",
            says="Of each trial at least; without it two seconds, and six of the one that confirms.",
            example="-z 5s",
        ),
    ] = ""


@grouped
def search(
    target: TargetOptions,
    look: SearchOptions,
    inputs: InputOptions,
    sending: SendingOptions,
    time: WarmUpOptions,
    server: ServerOptions,
    output: OutputOptions,
) -> None:
    """Find the highest load at which a server meets an objective.

    Doubles the load until the objective is missed, halves the gap, then measures what was found with enough
    requests for a certificate: how surely the objective holds there.
    """
    results.check(output)
    objective = slo.parse(look.slo)
    objective.refuse_lower_limits()
    if not 50 <= look.confidence < 100:
        raise SetupError(f"--confidence: found {look.confidence:g}, expected 50 to less than 100 percent")
    values.within("--precision", look.precision, 0.1, 99, "%")
    confidence = look.confidence / 100
    pace = TimeOptions(**asdict(time), duration=look.duration)
    options = Options(target, inputs, sending, pace, server, confidence=confidence)
    tags = values.names_and_texts("--tags", output.tags)
    bounds(look, None)
    with session(options, objective, tags) as found:
        title = f"{objective.text} for {', '.join(found.driver.prepared.names)}"
        with View(title, quiet=output.quiet) as view:
            start, maximum = bounds(look, found.driver.context.ceiling)
            by_concurrency = look.by is By.CONCURRENCY
            steps = Search(
                start,
                maximum,
                look.precision / 100,
                whole=by_concurrency,
                confirm_requests=requests_to_certify(objective, confidence),
            )
            searcher = Searcher(found, objective, steps, view, concurrency=by_concurrency)
            searcher.run()
        document = found.document(searcher.levels, "search", certificate=searcher.certificate)
    results.hand_out(document, output, [searcher.sentence, *found.driver.remarks])
    raise typer.Exit(exits.of_search(document))


def bounds(look: SearchOptions, ceiling: float | None) -> tuple[float, float]:
    """The lowest and the highest load. Raises SetupError for a range that is none."""
    if look.range:
        parts = look.range.split(":")
        if len(parts) != 2 or not all(parts) or "," in look.range:
            raise SetupError(f"--range: found {look.range!r}, expected LOWEST:HIGHEST such as 500:20000")
        lowest, highest = values.levels("--range", ",".join(parts), whole=look.by is By.CONCURRENCY)
        if lowest >= highest:
            raise SetupError(f"--range: found {look.range!r}, expected the lowest load first")
        return lowest, highest
    if look.by is By.CONCURRENCY:
        return 1.0, HIGHEST_CONCURRENCY
    return 100.0, HIGHEST_RATE if ceiling is None else max(OF_CEILING * ceiling, 200.0)
