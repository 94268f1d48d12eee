"""`infermesh perf compare`: two targets in turns, or one against the result of before."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from infermesh.grouped import grouped

from infermesh_perf.analysis import ab, figures
from infermesh_perf.analysis.rounds import Side, order, rounds_needed
from infermesh_perf.command import exits, results, values
from infermesh_perf.command.compare_options import CompareOptions
from infermesh_perf.command.live import View
from infermesh_perf.command.options import (
    InputOptions,
    OutputOptions,
    SendingOptions,
    ServerOptions,
    TargetOptions,
    TimeOptions,
)
from infermesh_perf.command.provenance import command_line, environment
from infermesh_perf.command.run import LoadOptions, loads_of
from infermesh_perf.command.session import Options, Session, session
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.results import files
from infermesh_perf.results.document import Comparison, Level, Load, Ratio, Run

EXAMPLES = f"""\b
Examples:
  infermesh perf compare localhost:8001 localhost:9001 -m digits
  infermesh perf compare old:8001 new:8001 -m digits --rps 3000 --rounds 8 --report ab.html
  infermesh perf run -m digits -c 16 --rounds 8 -o baseline.json
  infermesh perf compare localhost:8001 --baseline baseline.json -m digits

{exits.TABLE}"""

#: Seconds of one turn, unless -z says otherwise.
TURN_SECONDS = 2.0


@grouped
def compare(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="A [B]", help="Addresses, as -u takes them; B alone with --baseline."),
    ],
    target: TargetOptions,
    look: CompareOptions,
    inputs: InputOptions,
    sending: SendingOptions,
    time: TimeOptions,
    server: ServerOptions,
    output: OutputOptions,
) -> None:
    """Compare two servers in turns: what a machine does to one side it does to both.

    Every round is one turn of each, ABBA. A ratio over the rounds has an interval, and sides are told apart
    only if that excludes chance and the difference matters.
    """
    results.check(output)
    started = datetime.now(UTC)
    _check(look, targets, target)
    confidence = look.confidence / 100
    baseline = _baseline(look.baseline) if look.baseline else None
    loads = _loads(look, sending, baseline)
    rounds = look.compare_rounds or rounds_needed(confidence)
    turns: list[Side] = ["B"] * rounds if baseline else order(rounds)
    pacing_time = time if time.duration or time.request_count else replace(time, duration=f"{TURN_SECONDS}s")
    tags = values.names_and_texts("--tags", output.tags)
    with ExitStack() as stack:
        sides: dict[Side, Session] = {}
        names: tuple[Side, ...] = ("B",) if baseline else ("A", "B")
        for side, url in zip(names, targets, strict=True):
            options = Options(replace(target, url=url), inputs, sending, pacing_time, server)
            sides[side] = stack.enter_context(session(options, None, tags))
        view = stack.enter_context(
            View(" and ".join(targets), quiet=output.quiet, total=len(turns) * len(loads))
        )
        levels = _turns(sides, turns, loads, view)
        runs = {side: found.document(levels[side]) for side, found in sides.items()}
        remarks = [remark for found in sides.values() for remark in found.driver.remarks]
    a = baseline or runs["A"]
    sending_options = next(iter(sides.values())).driver.sending
    ratios = _ratios(a, runs["B"], look, paired=baseline is None)
    document = Comparison(
        command=command_line(),
        started=started,
        seconds=(datetime.now(UTC) - started).total_seconds(),
        tags=tags,
        environment=environment(sending_options),
        a=a,
        b=runs["B"],
        order="".join(turns),
        minimum_effect=look.minimum_effect / 100,
        ratios=ratios,
        verdict=ab.overall(ratios),
    )
    results.hand_out(document, output, remarks)
    raise typer.Exit(exits.of_comparison(document))


def _check(look: CompareOptions, targets: list[str], target: TargetOptions) -> None:
    wanted = 1 if look.baseline else 2
    if len(targets) != wanted:
        what = "one address beside --baseline" if look.baseline else "two addresses, A and B"
        raise SetupError(f"found {len(targets)} addresses, expected {what}")
    if target.url:
        raise SetupError("-u is without effect: the addresses stand behind `compare`")
    look.check()


def _baseline(path: Path) -> Run:
    """The levels of a run, or those of side B of a comparison."""
    found = files.load(path)
    run = found if isinstance(found, Run) else found.b
    fewest = min((len(levels) for levels in figures.rounds([run]).values()), default=0)
    if fewest < 2:
        raise SetupError(
            f"--baseline {path}: found {fewest} round of a load, expected several: one tells no chance",
            hint="make it with `infermesh perf run --rounds 8 -o FILE.json`",
        )
    return run


def _loads(look: CompareOptions, sending: SendingOptions, baseline: Run | None) -> list[Load]:
    asked = LoadOptions(
        concurrency_range=look.concurrency_range,
        concurrency=look.concurrency,
        request_rate_range=look.request_rate_range,
        rps=look.rps,
    )
    given = asked != LoadOptions()
    if baseline is not None:
        if given:
            raise SetupError("loads are those of --baseline, so that another one is without effect")
        if any(level.load.mode == "intervals" for level in baseline.levels):
            raise SetupError("--baseline has recorded intervals as its load, expected concurrencies or rates")
        return list({str(level.load): level.load for level in baseline.levels}.values())
    return loads_of(asked if given else replace(asked, concurrency=16), sending, ())


def _turns(
    sides: dict[Side, Session], turns: list[Side], loads: list[Load], view: View
) -> dict[Side, list[Level]]:
    levels: dict[Side, list[Level]] = {side: [] for side in sides}
    position = 0
    for side in turns:
        for load in loads:
            driver = sides[side].driver
            level = driver.run(load, view.watch(position, load, f"({side})"))
            position += 1
            levels[side].append(level)
            view.done(level)
            if driver.cut_short:
                raise RunError(f"{side} was cut short, so there is nothing to compare: {driver.cut_short}")
    return levels


def _ratios(a: Run, b: Run, look: CompareOptions, *, paired: bool) -> list[Ratio]:
    of_a, of_b = figures.rounds([a]), figures.rounds([b])
    ratios = []
    for load in of_b:
        for ratio in figures.compare(
            of_a[load],
            of_b[load],
            look.figure_names,
            confidence=look.confidence / 100,
            minimum_effect=look.minimum_effect / 100,
            paired=paired,
        ):
            name = ratio.name if len(of_b) == 1 else f"{ratio.name} at {load}"
            ratios.append(ratio.model_copy(update={"name": name}))
    return ratios
