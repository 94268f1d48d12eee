"""What an ensemble costs beside its members: `python -m infermesh_perf.bench.ensembles`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from infermesh_perf import machine
from infermesh_perf.bench import ensemble_report, h2load, result_file
from infermesh_perf.bench.chains import CHAINS, Chain
from infermesh_perf.bench.compare import interleave
from infermesh_perf.bench.ensemble_results import Found, Spent, Turn
from infermesh_perf.bench.entry import Out, Root, names_of, run, wide_console
from infermesh_perf.bench.measure import WARM_UP_SECONDS, Plan
from infermesh_perf.bodies import frame, infer_request
from infermesh_perf.errors import RunError
from infermesh_perf.models import Model
from infermesh_perf.peers import Infermesh, Triton
from infermesh_perf.peers.repository import RepositoryPeer
from infermesh_perf.processes import Command, Running, serving
from infermesh_perf.rpc import Client, check_answer

#: From arrival to answer on the server, over what its members compute: no more than this is aimed at.
TARGET = 1.3


def ensembles(
    rounds: Annotated[int, typer.Option(min=1, help="How often every model gets its turn.")] = 5,
    duration: Annotated[float, typer.Option(min=1, help="Seconds of each measured run, whole ones.")] = 2,
    streams: Annotated[int, typer.Option(min=2, help="Requests in flight, beside one at a time.")] = 16,
    chains: Annotated[str, typer.Option(help="Chains of models, in their order.")] = ",".join(CHAINS),
    triton: Annotated[bool, typer.Option(help="Whether to measure Triton beside it.")] = True,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Measure an ensemble of three perceptrons: what it takes beside what its members compute.

    One request at a time over one connection, so that no batch hides anything, and again with several in
    flight. Each member called alone, the ensemble, and one model that holds the graphs of all three take
    turns under h2load, on every server. Ratios are taken round by round and shown with their spread.

    On the server, by its own statistics: how long a request to the ensemble takes from its arrival to its
    answer, over what the members compute for it meanwhile (inputs, inference, outputs), and over what they
    compute when they are called alone. By the client: the ensemble beside calling its members one after
    another, which is the sum of their latencies, and beside the same arithmetic in one model, which is the
    least that any ensemble could cost.

    A member that is called alone has its weights in the processor's caches, where those of a whole chain may
    not fit: where the chain is large, only one model is a fair measure. Triton's members are Python models
    that call ONNX Runtime, since its ONNX backend is in no wheel.

    The result is written to `perf/results/ensembles-DATE-KIND.json`.

    **Examples**

    - everything, about a quarter of an hour: `python -m infermesh_perf.bench.ensembles`
    - a look in a minute: `python -m infermesh_perf.bench.ensembles --chains small --no-triton --rounds 2`

    **Exit codes**: 0 done, 1 a server or the client failed, 2 usage, or something is missing on this machine.
    """
    root = root.resolve()
    chosen = [CHAINS[name] for name in names_of("--chains", chains, CHAINS)]
    peers: list[RepositoryPeer] = [Triton(root), Infermesh(root)] if triton else [Infermesh(root)]
    plan = Plan(h2load.find(), rounds, duration, (1, streams))
    for peer in peers:
        peer.install()
    options = {"rounds": rounds, "duration_seconds": duration, "streams": streams}
    result = result_file.begin(options, result_file.versions(plan.tool, peers))
    result |= {"target": TARGET, "load_average_before": machine.load_average()}
    found = {
        chain.name: measure(
            plan, chain, peers, root / ".peers" / "models", lambda what: typer.echo(what, err=True)
        )
        for chain in chosen
    }
    result["chains"] = {
        chain.name: {
            "widths": list(chain.widths),
            "servers": {server: of.as_json() for server, of in found[chain.name].items()},
        }
        for chain in chosen
    }
    console = wide_console()
    for table in ensemble_report.tables(found, TARGET):
        console.print(table)
    path = result_file.save(result, "ensembles", root, out)
    console.print(f"written to {path}", highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Asked:
    """A model under test: the body that asks it, the size of a right answer, whose statistics tell of it."""

    body: Path
    answer_size: int
    counted: Sequence[str]


def measure(
    plan: Plan, chain: Chain, peers: Sequence[RepositoryPeer], directory: Path, step: Callable[[str], None]
) -> dict[str, Found]:
    """All turns of one chain, by server; `step` is told of each before.

    Raises RunError when a server does not come up, answers wrongly, or a run fails.
    """
    models = [*chain.members, chain.in_one, chain.ensemble]
    files = {model: model.save(directory) for model in models}
    found = {peer.name: Found(chain) for peer in peers}
    with ExitStack() as stack:
        bodies = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {peer.name: stack.enter_context(serving(command(peer, chain, files))) for peer in peers}
        asked = {
            (name, model.name): _asked(server, chain, model, files[model], bodies)
            for name, server in servers.items()
            for model in models
        }
        for turn in range(plan.rounds):
            for streams in plan.streams:
                for model in models:
                    for _, name in interleave(1, list(servers)):
                        step(f"{chain.name}: round {turn + 1}, {name}, {model.name}, {streams} in flight")
                        taken = _turn(plan, servers[name], asked[name, model.name], streams)
                        of = found[name].turns.setdefault(streams, {}).setdefault(model.name, [])
                        of.append(taken)
    return found


def command(peer: RepositoryPeer, chain: Chain, files: Mapping[Model, Path]) -> Command:
    """Writes a repository with the ensemble, its members and all of them in one model; what serves it."""
    single = {model: files[model] for model in (*chain.members, chain.in_one)}
    repository = peer.repository(chain.name, single)
    (repository / chain.ensemble.name / "1").mkdir(parents=True)
    (repository / chain.ensemble.name / "config.pbtxt").write_text(chain.config)
    return peer.serving(repository, chain.ensemble.name)


def _asked(server: Running, chain: Chain, model: Model, file: Path, bodies: Path) -> Asked:
    """Also holds an answer against ONNX Runtime's."""
    body = bodies / model.name
    body.write_bytes(frame(infer_request(model, model.sample(1))))
    members = [member.name for member in chain.members] if model == chain.ensemble else []
    return Asked(body, check_answer(server.port, model, file, 1), [model.name, *members])


def _turn(plan: Plan, server: Running, asked: Asked, streams: int) -> Turn:
    h2load.run(plan.tool, server.port, asked.body, streams, WARM_UP_SECONDS, warm_up=0)
    with Client(server.port) as client:
        before = {name: client.statistics(name) for name in asked.counted}
        sample = h2load.run(plan.tool, server.port, asked.body, streams, plan.seconds, warm_up=0)
        spent = {name: Spent.between(old, client.statistics(name)) for name, old in before.items()}
    if sample.refused(asked.answer_size):
        raise RunError(f"{asked.counted[0]} refuses some requests: answers without a message")
    return Turn(sample.requests_per_second, spent)


def main() -> NoReturn:
    """Runs the command and exits: 0 done, 1 failed, 2 usage or setup."""
    run(ensembles, "infermesh_perf.bench.ensembles")


if __name__ == "__main__":
    main()
