"""`infermesh perf run`: one load after the other on one target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from infermesh.grouped import grouped

from infermesh_perf.analysis import slo
from infermesh_perf.analysis.search import Search
from infermesh_perf.command import exits, results, values
from infermesh_perf.command.live import View
from infermesh_perf.command.options import (
    LOAD,
    OUTPUT,
    InputOptions,
    OutputOptions,
    SendingOptions,
    ServerOptions,
    TargetOptions,
    TimeOptions,
    option,
)
from infermesh_perf.command.searching import Searcher
from infermesh_perf.command.session import Options, Session, session
from infermesh_perf.errors import SetupError
from infermesh_perf.load.levels import sweep
from infermesh_perf.results import distribution, profile_export
from infermesh_perf.results.document import Level, Load

EXAMPLES = f"""\b
Examples:
  infermesh perf run -m digits
  infermesh perf run -m digits --concurrency-range 1:64:8 --report out.html
  infermesh perf run -m digits --rps 5000 -z 30s --slo 'p99<20ms,errors<0.1%'
  infermesh perf run -m digits -i http -u triton:8000 -b 8 --input-data images.npz
  infermesh perf run -m small=9 -m large=1 -c 32 --connections 4

{exits.TABLE}"""

#: Requests of each slice that `--profile-export-file` describes: all of them.
RECORDS = 1_000_000


@dataclass(frozen=True)
class LoadOptions:
    """How much is sent."""

    concurrency_range: Annotated[
        str,
        option(
            "--concurrency-range",
            panel=LOAD,
            metavar="START:END:STEP",
            says="Requests always under way, or a list with commas; 1 without any other load.",
            example="--concurrency-range 1:16",
        ),
    ] = ""
    concurrency: Annotated[
        int | None,
        option("-c", "--concurrency", panel=LOAD, says="One of them, as ghz takes it.", example="-c 50"),
    ] = None
    request_rate_range: Annotated[
        str,
        option(
            "--request-rate-range",
            panel=LOAD,
            metavar="START:END:STEP",
            says="Requests per second, however many are under way.",
            example="--request-rate-range 1000:5000:1000",
        ),
    ] = ""
    rps: Annotated[
        float | None,
        option("--rps", panel=LOAD, says="One of them, as ghz takes it.", example="--rps 2000"),
    ] = None
    request_intervals: Annotated[
        Path | None,
        option(
            "--request-intervals",
            panel=LOAD,
            metavar="FILE",
            says="Recorded gaps between requests, a line each in microseconds, again and again.",
            example="--request-intervals gaps.txt",
        ),
    ] = None
    rounds: Annotated[
        int,
        option(
            "--rounds",
            panel=LOAD,
            says="Take all loads so many times, as a baseline for perf compare needs it.",
            example="-c 16 --rounds 8 -o baseline.json",
            least=1,
            most=1000,
        ),
    ] = 1
    latency_threshold: Annotated[
        float | None,
        option(
            "-l",
            "--latency-threshold",
            panel=LOAD,
            metavar="MILLISECONDS",
            says="No further level once the mean latency, or that at --percentile, is above it.",
            example="--concurrency-range 1:64 -l 20 --percentile 99",
        ),
    ] = None
    binary_search: Annotated[
        bool,
        option(
            "--binary-search",
            panel=LOAD,
            says="Halve the range instead of taking each step, for the highest load below -l.",
            example="--request-rate-range 100:9000 --binary-search -l 20",
        ),
    ] = False
    slo: Annotated[
        str,
        option(
            "--slo",
            panel=OUTPUT,
            metavar="LIMITS",
            says="Judge each level; the exit code says whether any meets it.",
            example="--slo 'p99<20ms,errors<0.1%'",
        ),
    ] = ""
    profile_export_file: Annotated[
        Path | None,
        option(
            "--profile-export-file",
            panel=OUTPUT,
            metavar="FILE.json",
            says="Every request with its moments, in perf_analyzer's form.",
            example="--profile-export-file requests.json",
        ),
    ] = None


@grouped
def run(
    target: TargetOptions,
    load: LoadOptions,
    inputs: InputOptions,
    sending: SendingOptions,
    time: TimeOptions,
    server: ServerOptions,
    output: OutputOptions,
) -> None:
    """Measure a v2 model server under one load after the other.

    Inputs are made from the model's metadata. Latency counts from the moment a request was due, so that a
    server that stalls cannot hide it by slowing the client down.
    """
    results.check(output, profile_export_file=load.profile_export_file)
    objective = slo.parse(load.slo) if load.slo else None
    gaps = values.intervals(load.request_intervals) if load.request_intervals else ()
    loads = loads_of(load, sending, gaps)
    if load.latency_threshold is not None:
        values.within("-l", load.latency_threshold, 0.001, 1e9, "ms")
    if load.binary_search and (load.latency_threshold is None or len(loads) < 2):
        raise SetupError(
            "--binary-search needs a range of loads and -l", hint="infermesh perf search knows more"
        )
    options = Options(target, inputs, sending, time, server, gaps, RECORDS if load.profile_export_file else 0)
    tags = values.names_and_texts("--tags", output.tags)
    with session(options, objective, tags) as found:
        title = f"{', '.join(found.driver.prepared.names)} at {found.driver.prepared.summary().url}"
        total = None if load.binary_search else len(loads) * load.rounds
        with View(title, quiet=output.quiet, total=total) as view:
            if load.binary_search:
                levels = _halved(found, loads, load, time, view)
            else:
                levels = sweep(found.driver, loads * load.rounds, view, _over(load, time))
        document = found.document(levels)
        if load.profile_export_file:
            profile_export.save(document, found.driver.experiments, load.profile_export_file)
    results.hand_out(document, output, found.driver.remarks)
    raise typer.Exit(exits.of_run(document))


def _halved(
    found: Session, loads: list[Load], load: LoadOptions, time: TimeOptions, view: View
) -> list[Level]:
    """Levels of a search between the lowest and the highest load, to the precision of one step."""
    metric = "mean" if time.percentile is None else f"p{time.percentile:g}"
    objective = slo.parse(f"{metric}<{load.latency_threshold}ms")
    low, high = loads[0].value, loads[-1].value
    concurrency = loads[0].mode == "concurrency"
    steps = Search(low, high, min((loads[1].value - low) / high, 0.5), whole=concurrency)
    driver = found.driver
    driver.context = replace(driver.context, objective=driver.context.objective or objective)
    searcher = Searcher(found, objective, steps, view, concurrency=concurrency)
    searcher.run()
    driver.remarks.append(searcher.sentence)
    return searcher.levels


def _over(load: LoadOptions, time: TimeOptions) -> Callable[[Level], bool]:
    """Whether a level is beyond the latency that `-l` allows: further ones would be, too."""
    if load.latency_threshold is None:
        return lambda _: False
    most = load.latency_threshold * 1e6
    metric = "mean" if time.percentile is None else f"p{time.percentile:g}"
    return lambda level: distribution.latency(level.latency, metric) > most


def loads_of(load: LoadOptions, sending: SendingOptions, gaps: tuple[int, ...]) -> list[Load]:
    """The levels that options ask for. Raises SetupError for two kinds of load at once."""
    given = {
        "--concurrency-range": load.concurrency_range,
        "-c": load.concurrency,
        "--request-rate-range": load.request_rate_range,
        "--rps": load.rps,
        "--request-intervals": load.request_intervals,
    }
    named = [name for name, value in given.items() if value not in ("", None)]
    if len(named) > 1:
        raise SetupError(f"{named[0]} and {named[1]} are two kinds of load, expected one")
    if gaps:
        return [values.replayed(gaps)]
    if load.request_rate_range or load.rps is not None:
        name = named[0]
        text = load.request_rate_range or f"{load.rps}"
        return [
            Load(mode="rate", value=rate, distribution=sending.distribution.value)
            for rate in values.levels(name, text, whole=False)
        ]
    text = load.concurrency_range or (f"{load.concurrency}" if load.concurrency is not None else "1")
    name = named[0] if named else "-c"
    return [Load(mode="concurrency", value=value) for value in values.levels(name, text, whole=True)]
