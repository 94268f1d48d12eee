import json
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc
import pytest
from infermesh_perf.bench import h2load
from infermesh_perf.bench.measure import Plan
from infermesh_perf.bench.servers import Servers
from infermesh_perf.bench.sidecar import costs, report, starts
from infermesh_perf.bench.sidecar.__main__ import main
from infermesh_perf.bench.sidecar.costs import Cost
from infermesh_perf.bench.sidecar.fronts import OURS, STRAIGHT, Fronts, behind
from infermesh_perf.bench.sidecar.pairs import MUTUAL, PLAINTEXT, pair
from infermesh_perf.bench.sidecar.result import ENVOY, SIDECAR, Result
from infermesh_perf.bench.sidecar.stage import Stage
from infermesh_perf.bench.sidecar.starts import Start
from infermesh_perf.bench.sidecar.turns import take_turns
from infermesh_perf.errors import RunError
from infermesh_perf.models import MODELS, build_perceptron, identity
from infermesh_perf.peers import Infermesh, Sidecar
from infermesh_perf.processes import Running, serving
from infermesh_perf.rpc import check_answer
from rich.console import Console

MODEL = MODELS["perceptron"]


def sample(streams: int, mean_us: float) -> h2load.Sample:
    rate = streams / (mean_us * 1e-6)
    return h2load.Sample(rate, int(rate), 0, mean_us * 1e-6, 0, 0, 0)


def samples(streams: int, *means_us: float) -> list[h2load.Sample]:
    return [sample(streams, mean) for mean in means_us]


def found() -> Result:
    """A run of three rounds in which Envoy is seen to add nothing once."""
    return Result(
        begun={"schema": 1},
        load_average_before=0,
        fronts=Fronts(
            {
                1: {
                    STRAIGHT: samples(1, 200, 200, 300),
                    behind(ENVOY): samples(1, 400, 300, 300),
                    behind(SIDECAR): samples(1, 300, 280, 310),
                },
                64: {
                    STRAIGHT: samples(64, 1_000, 1_000, 1_000),
                    behind(ENVOY): samples(64, 2_000, 2_000, 2_000),
                    behind(SIDECAR): samples(64, 1_600, 2_000, 2_500),
                    OURS: samples(64, 500, 800, 1_000),
                },
            },
            {SIDECAR: {"resident": 30 << 20, "proportional": 20 << 20}},
        ),
        pairs={
            64: {
                pair(proxy, how): samples(64, *means)
                for proxy, how, means in (
                    (ENVOY, PLAINTEXT, (2_000, 2_000)),
                    (ENVOY, MUTUAL, (4_000, 4_000)),
                    (SIDECAR, PLAINTEXT, (1_000, 900)),
                    (SIDECAR, MUTUAL, (1_000, 1_000)),
                )
            }
        },
        costs={
            "1 KB": {
                ENVOY: [Cost(1_000, 0.2, 70 << 20, 60 << 20, 1e-3, 2e-3)],
                SIDECAR: [Cost(2_000, 0.2, 30 << 20, 20 << 20, 1e-3, 2e-3)],
            }
        },
        starts={SIDECAR: [Start(0.2, 25 << 20, 20 << 20)]},
    )


def test_ratios_are_taken_round_by_round() -> None:
    ratios = {ratio.title: ratio for ratio in found().ratios()}

    added = ratios["latency added at 1 stream: sidecar / envoy"]
    # 100/200 and 80/100; of the third round, in which Envoy added nothing, there is no share.
    assert (added.spread.low, added.spread.high) == pytest.approx((0.5, 0.8))
    assert added.wanted == "at most 0.8"
    through = ratios["requests/s at 64 streams: sidecar / envoy"]
    assert (through.spread.low, through.spread.median, through.spread.high) == pytest.approx((0.8, 1, 1.25))
    ours = ratios["requests/s at 64 streams: infermesh behind sidecar / triton behind envoy"]
    assert (ours.spread.low, ours.spread.median, ours.wanted) == (2, 2.5, "at least 2")
    assert ratios["requests/s at 64 streams, two of sidecar: mTLS / plaintext"].spread.low == 0.9
    assert ratios["requests/s at 64 streams, two of envoy: mTLS / plaintext"].spread.median == 0.5
    assert ratios["processor time for 1 KB: sidecar / envoy"].spread.median == 0.5


def test_rounds_in_which_nothing_is_added_have_no_share() -> None:
    result = found()
    loads = result.fronts.loads
    loads[1][behind(ENVOY)] = loads[1][STRAIGHT]

    assert not any("added" in ratio.title for ratio in result.ratios())


def test_a_result_is_json_with_its_ratios() -> None:
    written = json.loads(json.dumps(found().as_json()))

    assert written["schema"] == 1
    assert len(written["fronts"]["loads"]["64"][OURS]) == 3
    assert written["ratios"]["requests/s at 64 streams: sidecar / envoy"]["wanted"] == "at least 1"


def test_tables_show_what_was_measured_and_nothing_else() -> None:
    console = Console(width=200)
    with console.capture() as captured:
        for table in report.tables(found()):
            console.print(table)
    text = captured.get()

    # The median of what was added in each round, of the medians neither.
    assert "3,333 (0.30 ms, +0.08)" in text
    # What stands behind another server adds to nothing.
    assert "80,000 (0.80 ms)" in text
    assert "0.100 (0.100 - 0.100)" in text
    assert "0.20 s (0.20 - 0.20)" in text
    assert not list(report.tables(Result({}, 0)))


@pytest.mark.usefixtures("no_h2load")
@pytest.mark.parametrize(("option", "value"), [("--parts", "fronts,backs"), ("--streams", "1,none")])
def test_a_wrong_option_is_named_with_what_was_found(
    option: str, value: str, exit_code: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(main, option, value) == 2

    message = capsys.readouterr().err
    assert option in message
    assert value in message


@pytest.mark.usefixtures("no_h2load")
def test_the_lock_of_triton_is_missed_by_name(
    tmp_path: Path, exit_code: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(main, "--root", str(tmp_path)) == 2
    assert "root of the repository" in capsys.readouterr().err


def stage(root: Path, said: list[str]) -> Stage:
    return Stage(root, Plan(shutil.which("h2load") or "", 1, 1, (2,)), said.append)


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
def test_ways_take_turns_under_a_real_client(root: Path) -> None:
    onnx = MODEL.save(root)
    said: list[str] = []
    straight = Infermesh(root).command(MODEL, onnx)
    behind = Sidecar(root).before("test", straight.grpc_port, MODEL.name).command
    both = ["straight", "behind"]
    with ExitStack() as stack:
        ways = Servers(stack, {"straight": straight, "behind": behind}, {})
        loads = take_turns(stage(root, said), MODEL, onnx, ways, {1: ["straight"], 2: both})

    assert {streams: list(of) for streams, of in loads.items()} == {1: ["straight"], 2: both}
    assert all(one.succeeded > 10 for of in loads.values() for way in of.values() for one in way)
    assert said == [
        "check straight",
        "check behind",
        "round 1: straight at 1 streams",
        "round 1: straight at 2 streams",
        "round 1: behind at 2 streams",
    ]


def test_a_wrong_answer_ends_it(root: Path) -> None:
    onnx = MODEL.save(root)
    other = replace(MODEL, build=partial(build_perceptron, MODEL.name, (64, 64, 10), seed=8))
    with ExitStack() as stack:
        ways = Servers(stack, {"it": Infermesh(root).command(MODEL, onnx)}, {})
        with pytest.raises(RunError, match="differs from ONNX Runtime"):
            take_turns(stage(root, []), MODEL, other.save(root / "other"), ways, {1: ["it"]})


def test_what_has_crashed_behind_a_proxy_is_started_again_and_counted(root: Path) -> None:
    onnx = MODEL.save(root)
    server = Infermesh(root).command(MODEL, onnx)
    front = Sidecar(root).before("test", server.grpc_port, MODEL.name).command
    crashes: dict[str, int] = {}
    asked: list[int] = []

    def ask(way: Running) -> int:
        asked.append(way.port)
        if len(asked) == 1:
            os.kill(first, signal.SIGKILL)
        try:
            return check_answer(way.port, MODEL, onnx, 1)
        except grpc.RpcError as error:
            raise RunError(str(error)) from error

    with ExitStack() as stack:
        ways = Servers(stack, {"server": server, "front": front}, crashes)
        first = ways.use("server", lambda running: running.pid)
        assert ways.use("front", ask) > 0
        assert ways.use("server", lambda running: running.pid) != first
    assert (crashes, len(asked)) == ({"server": 1}, 2)


def test_what_a_real_proxy_costs(root: Path) -> None:
    body = costs.Body("1 KB", 1 << 10, rate=200)
    model = body.model
    with (
        serving(Infermesh(root).command(model, model.save(root))) as server,
        serving(Sidecar(root).before("test", server.port, model.name).command) as front,
    ):
        cost = costs._run(front, body, seconds=0.5)

    assert model == replace(identity(256), build=model.build)
    assert cost.requests == pytest.approx(100, abs=20)
    assert 0 < cost.cpu_seconds < 0.5
    assert cost.cores == 1_000 * cost.cpu_seconds / cost.requests
    assert cost.resident >= cost.proportional > 1 << 20
    assert 0 < cost.p50 <= cost.p99


def test_starts_of_both(root: Path) -> None:
    it = stage(root, [])
    if (why := it.envoy.missing()) is not None:
        pytest.skip(why)

    found = starts.measure(it)

    assert list(found) == [ENVOY, SIDECAR]
    assert all(start.ready_seconds > 0 and start.resident > 1 << 20 for (start,) in found.values())
