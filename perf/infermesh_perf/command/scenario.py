"""`infermesh perf scenario`: a run by the rules of an MLPerf scenario."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Annotated

import typer
from infermesh.grouped import grouped

from infermesh_perf.analysis import text as texts
from infermesh_perf.analysis.histograms import decode
from infermesh_perf.analysis.scenario_result import Observed, ScenarioResult, judge
from infermesh_perf.analysis.scenarios import SCENARIOS, Rules
from infermesh_perf.command import exits, results, values
from infermesh_perf.command.live import View
from infermesh_perf.command.options import (
    LOAD,
    InputOptions,
    OutputOptions,
    SendingOptions,
    ServerOptions,
    TargetOptions,
    TimeOptions,
    WarmUpOptions,
    option,
)
from infermesh_perf.command.session import Options, session
from infermesh_perf.errors import SetupError
from infermesh_perf.results.document import Check, Level, Load

EXAMPLES = f"""\b
Examples:
  infermesh perf scenario SingleStream -m resnet50
  infermesh perf scenario Server -m resnet50 --rps 400 --target-latency 15
  infermesh perf scenario Offline -m resnet50 -b 8 --min-duration 60s
  infermesh perf scenario MultiStream -m resnet50 --min-duration 30s

The rules are those of MLPerf's LoadGen; a result here is no MLPerf result, which also asks for prescribed
models, their accuracy and a review.

{exits.TABLE}"""


class ScenarioName(StrEnum):
    """As MLPerf calls them."""

    SINGLE_STREAM = "SingleStream"
    MULTI_STREAM = "MultiStream"
    SERVER = "Server"
    OFFLINE = "Offline"


@dataclass(frozen=True)
class ScenarioOptions:
    """What the scenario leaves open."""

    rps: Annotated[
        float | None,
        option("--rps", "--target-qps", panel=LOAD, says="Server: queries per second.", example="--rps 400"),
    ] = None
    target_latency: Annotated[
        float | None,
        option(
            "--target-latency",
            panel=LOAD,
            metavar="MILLISECONDS",
            says="Server: what the 99th percentile may be; 10 without it.",
            example="--target-latency 15",
        ),
    ] = None
    min_duration: Annotated[
        str,
        option(
            "--min-duration",
            panel=LOAD,
            metavar="TIME",
            says="Ten minutes by the rules; a shorter run says so.",
            example="--min-duration 60s",
        ),
    ] = ""
    min_query_count: Annotated[
        int | None,
        option(
            "--min-query-count",
            panel=LOAD,
            says="Queries at least, in place of the scenario's number.",
            example="--min-query-count 1024",
            least=1,
        ),
    ] = None


@grouped
def scenario(
    name: Annotated[ScenarioName, typer.Argument(help="Which of the four.", case_sensitive=False)],
    target: TargetOptions,
    look: ScenarioOptions,
    inputs: InputOptions,
    sending: SendingOptions,
    time: WarmUpOptions,
    server: ServerOptions,
    output: OutputOptions,
) -> None:
    """Measure by the rules of an MLPerf scenario, and say VALID or INVALID as LoadGen does.

    SingleStream sends one query after the other, MultiStream one of eight samples, Server at random moments
    at a wanted rate, Offline everything at once.
    """
    results.check(output)
    rules = rules_of(name, look)
    if rules.samples_per_query > 1 and inputs.batch is None:
        inputs = replace(inputs, batch=rules.samples_per_query)
    load = load_of(name, look, sending)
    options = Options(target, inputs, sending, TimeOptions(**asdict(time)), server)
    tags = values.names_and_texts("--tags", output.tags)
    with session(options, None, tags) as found:
        driver = found.driver
        # A query of several samples is one request with so many rows.
        rules = replace(rules, samples_per_query=max(driver.prepared.batches))
        with View(f"{rules.name}: {rules.sends}", quiet=output.quiet) as view:
            pacing = replace(
                driver.pacing, seconds=rules.minimum_seconds, minimum_requests=rules.minimum_queries
            )
            level = driver.run(load, view.watch(0, load), pacing)
            view.done(level)
        result = judge(rules, observed(rules, level))
        document = found.document(
            [_with(level, rules, result)], "scenario", scenario=_sentence(rules, result)
        )
    results.hand_out(document, output, [document.scenario, *driver.remarks])
    raise typer.Exit(exits.of_run(document))


def rules_of(name: ScenarioName, look: ScenarioOptions) -> Rules:
    """The scenario's rules with what options change of them."""
    rules = SCENARIOS[name.value]
    is_server = name is ScenarioName.SERVER
    if is_server and look.rps is None:
        raise SetupError(
            "Server needs a rate, found no --rps", hint="infermesh perf search finds the highest one"
        )
    if not is_server and (look.rps is not None or look.target_latency is not None):
        raise SetupError(f"--rps and --target-latency are for Server, found {name.value}")
    if look.rps is not None:
        values.within("--rps", look.rps, values.LOWEST_RATE, values.HIGHEST_RATE, "requests per second")
    if look.target_latency is not None:
        values.within("--target-latency", look.target_latency, 0.001, 1e9, "ms")
    return replace(
        rules,
        minimum_seconds=values.duration("--min-duration", look.min_duration) or rules.minimum_seconds,
        minimum_queries=look.min_query_count or rules.minimum_queries,
        target_ns=rules.target_ns if look.target_latency is None else round(look.target_latency * 1e6),
    )


def load_of(name: ScenarioName, look: ScenarioOptions, sending: SendingOptions) -> Load:
    """What is sent."""
    if name is ScenarioName.SERVER:
        return Load(mode="rate", value=look.rps or 0, distribution="poisson")
    offline = name is ScenarioName.OFFLINE
    return Load(mode="concurrency", value=sending.max_outstanding if offline else 1)


def observed(rules: Rules, level: Level) -> Observed:
    """What the scenario looks at."""
    due = (level.completed + level.failed + level.unsent) / level.seconds if level.seconds else 0.0
    return Observed(
        seconds=level.seconds,
        failed=level.failed + level.unsent,
        latency=decode(level.latency),
        rate=due if rules.name == "Server" else 0.0,
    )


def _with(level: Level, rules: Rules, result: ScenarioResult) -> Level:
    """The level with what its scenario objects to among the checks."""
    checks = [
        Check(name=rules.name, passed=False, found=reason, limit="the scenario's rules", advice=advice)
        for reason, advice in zip(result.reasons, result.recommendations, strict=True)
    ]
    return level.model_copy(update={"checks": [*level.checks, *checks]})


def _sentence(rules: Rules, result: ScenarioResult) -> str:
    if result.value is None:
        shown = "not enough queries to tell"
    elif result.unit == "ns":
        shown = texts.duration(result.value)
    else:
        shown = f"{texts.number(result.value)} {result.unit}"
    return f"{rules.name} {result.verdict}: {result.reports}: {shown}"
