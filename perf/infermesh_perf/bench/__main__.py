"""The command line of the benchmark: `python -m infermesh_perf.bench`, which `make bench` calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infermesh_perf import machine
from infermesh_perf.bench import h2load, report, result_file
from infermesh_perf.bench.entry import Out, Root, names_of, run, streams_of, wide_console
from infermesh_perf.bench.measure import Plan, measure_model, measure_startup
from infermesh_perf.bench.results import Result
from infermesh_perf.bench.sidecar.bench import PARTS, measure_and_show
from infermesh_perf.models import MODELS, Model
from infermesh_perf.peers import DEFAULT_PEERS, PEERS, Peer

SUBJECT = "infermesh"

#: Some five minutes in place of ten.
SIDECAR_ROUNDS, SIDECAR_SECONDS = 3, 2.0


def bench(
    rounds: Annotated[int, typer.Option(min=1, help="How often every server gets its turn.")] = 5,
    duration: Annotated[float, typer.Option(min=1, help="Seconds of each measured run, whole ones.")] = 5,
    streams: Annotated[str, typer.Option(help="Requests in flight, where little is computed.")] = "1,16,64",
    peers: Annotated[str, typer.Option(help="Servers, in the order of their turns.")] = ",".join(
        DEFAULT_PEERS
    ),
    models: Annotated[str, typer.Option(help="Models, in their order.")] = ",".join(MODELS),
    startup: Annotated[bool, typer.Option(help="Also measure time to ready and memory.")] = True,
    sidecar: Annotated[
        bool, typer.Option(help="Also measure the sidecar beside Envoy, for a shorter time.")
    ] = True,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Measure infermesh beside its peers on this machine, in turns, with h2load as the client.

    The peers are installed into `.peers/` on the first run. Every server answers the same bodies for the same
    model and is checked against ONNX Runtime first. Ratios are taken round by round, and shown with their
    spread. The result is written to `perf/results/serve-DATE-KIND.json`; KIND is the processor and its cores.
    The sidecar has a result of its own, beside it, see `python -m infermesh_perf.bench.sidecar`.

    **Examples**

    - everything, about twenty minutes: `python -m infermesh_perf.bench`
    - a look in a minute: `python -m infermesh_perf.bench --models perceptron --rounds 2 --no-sidecar`
    - ONNX Runtime called through Python: `python -m infermesh_perf.bench --peers infermesh,infermesh-python`
    - one peer, more streams: `python -m infermesh_perf.bench --peers triton,infermesh --streams 1,64,256`

    **Exit codes**: 0 done, 1 a server or the client failed, 2 usage, or something is missing on this machine.
    """
    console = Console(stderr=True)
    root = root.resolve()
    chosen_models = [MODELS[name] for name in names_of("--models", models, MODELS)]
    chosen = [PEERS[name](root) for name in names_of("--peers", peers, PEERS)]
    plan = Plan(h2load.find(), rounds, duration, streams_of(streams))
    for peer in chosen:
        with console.status(f"installing {peer.name}"):
            peer.install()
    names = [peer.name for peer in chosen]
    options = {"rounds": rounds, "duration_seconds": duration, "streams": list(plan.streams)}
    result = Result(
        begun=result_file.begin(options, result_file.versions(plan.tool, chosen)),
        subject=SUBJECT if SUBJECT in names else names[0],
        peers=names,
        load_average_before=machine.load_average(),
    )
    _measure(result, plan, chosen_models, chosen, root / ".peers" / "models", startup, console)
    path = result_file.save(result.as_json(), "serve", root, out)
    stdout = wide_console()
    for table in report.tables(result):
        stdout.print(table)
    stdout.print(f"written to {path}", highlight=False, soft_wrap=True)
    if sidecar:
        short = replace(plan, rounds=min(rounds, SIDECAR_ROUNDS), seconds=min(duration, SIDECAR_SECONDS))
        measure_and_show(root, short, list(PARTS), out.with_stem(f"{out.stem}-sidecar") if out else None)


def _measure(
    result: Result,
    plan: Plan,
    models: Sequence[Model],
    peers: Sequence[Peer],
    directory: Path,
    startup: bool,
    console: Console,
) -> None:
    small = next((model for model in models if not model.compute_bound), None) if startup else None
    total = sum(plan.steps(model, len(peers)) for model in models)
    total += plan.rounds * len(peers) if small else 0
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("build models", total=total)
        begun = False

        def step(what: str) -> None:
            nonlocal begun
            # The bar counts what is done: the first step has nothing behind it.
            progress.update(task, advance=1 if begun else 0, description=what)
            begun = True

        paths = {model.name: model.save(directory) for model in models}
        if small is not None:
            result.startup_model = small.name
            result.startup = measure_startup(plan.rounds, small, paths[small.name], peers, step)
        result.models = [measure_model(plan, model, paths[model.name], peers, step) for model in models]
        progress.update(task, advance=1, description="done")


def main() -> NoReturn:
    """Runs the command and exits: 0 done, 1 failed, 2 usage or setup."""
    run(bench, "infermesh_perf.bench")


if __name__ == "__main__":
    main()
