import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from google.protobuf import text_format
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import model_config_pb2
from infermesh_perf.bench import ensembles, h2load
from infermesh_perf.bench.chains import CHAINS, MEMBERS
from infermesh_perf.bench.compare import Spread
from infermesh_perf.bench.ensemble_report import tables
from infermesh_perf.bench.ensemble_results import Found, Spent, Turn
from infermesh_perf.bodies import PREFIX
from infermesh_perf.errors import RunError
from infermesh_perf.rpc import Client
from numpy.typing import NDArray
from rich.console import Console

SMALL = CHAINS["small"]


def test_one_model_computes_what_the_members_do_one_after_another(tmp_path: Path) -> None:
    def run(file: Path, values: NDArray[np.float32]) -> NDArray[np.float32]:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        found: NDArray[np.float32] = session.run(["y"], {"x": values})[0]
        return found

    start = SMALL.in_one.sample(2)
    between = [start]
    for member in SMALL.members:
        between.append(run(member.save(tmp_path), between[-1]))
    merged = run(SMALL.in_one.save(tmp_path), start)

    np.testing.assert_allclose(merged, between[-1], atol=1e-5)
    # Each member changes what it gets: one that is left out or called twice is seen.
    assert all(np.abs(before - after).max() > 0.1 for before, after in pairwise(between))


def test_the_configuration_passes_each_member_s_output_on() -> None:
    config = text_format.Parse(SMALL.config, model_config_pb2.ModelConfig())

    assert config.platform == "ensemble"
    steps = config.ensemble_scheduling.step
    assert [step.model_name for step in steps] == [member.name for member in SMALL.members]
    passed = [(dict(step.input_map), dict(step.output_map)) for step in steps]
    assert passed == [({"x": "x"}, {"y": "h1"}), ({"x": "h1"}, {"y": "h2"}), ({"x": "h2"}, {"y": "y"})]


def _statistics(requests: int, total: int, queue: int, compute: tuple[int, int, int]) -> pb.ModelStatistics:
    found = pb.ModelStatistics(name="m")
    phases = ("success", "queue", "compute_input", "compute_infer", "compute_output")
    for phase, nanoseconds in zip(phases, (total, queue, *compute), strict=True):
        duration = getattr(found.inference_stats, phase)
        duration.count, duration.ns = requests, nanoseconds
    return found


def test_what_was_spent_is_the_difference_for_each_request() -> None:
    before = _statistics(10, 1_000_000, 5_000, (1_000, 9_000, 2_000))
    after = _statistics(14, 1_400_000, 13_000, (3_000, 49_000, 10_000))

    spent = Spent.between(before, after)

    assert spent == Spent(requests=4, total=100, queue=2, input=0.5, infer=10, output=2)
    assert spent.compute == 12.5
    with pytest.raises(RunError, match="counted no request to m"):
        Spent.between(after, after)


def _found(ensemble: float, compute: float) -> Found:
    """Two rounds: an ensemble that takes so long, and members that each compute so long in it, half alone."""
    found = Found(SMALL)
    whole = Spent(1, ensemble, 0, 0, MEMBERS * compute, 0)
    within = {member.name: Spent(1, compute, 0, 0, compute, 0) for member in SMALL.members}
    for streams in (1, 16):
        found.turns[streams] = {
            **{
                it.name: [Turn(3000, {it.name: Spent(1, 9, 1, 0, compute / 2, 0)})] * 2
                for it in SMALL.members
            },
            SMALL.in_one.name: [Turn(8000, {SMALL.in_one.name: whole})] * 2,
            SMALL.ensemble.name: [
                Turn(rate, {SMALL.ensemble.name: whole, **within}) for rate in (2000.0, 4000.0)
            ],
        }
    return found


def test_ratios_are_those_of_an_ensemble_to_its_members() -> None:
    found = _found(ensemble=60, compute=10).as_json()

    steady = {"duration / compute": 2.0, "duration / compute alone": 4.0}
    rates = {"one after another": Spread(3, 2, 4), "in one model": Spread(0.375, 0.25, 0.5)}
    expected = {name: Spread(value, value, value) for name, value in steady.items()} | {
        f"rate / {what}, {streams}": spread for streams in (1, 16) for what, spread in rates.items()
    }
    assert set(found["ratios"]) == set(expected)
    for name, spread in expected.items():
        ratio = found["ratios"][name]
        assert [ratio["median"], ratio["low"], ratio["high"]] == pytest.approx(
            [spread.median, spread.low, spread.high]
        )
    assert len(found["turns"]["16"][SMALL.ensemble.name]) == 2


def test_tables_show_where_the_time_goes_and_who_is_faster() -> None:
    console = Console(width=200)
    with console.capture() as captured:
        for table in tables({"small": {"triton": _found(90, 10), "infermesh": _found(36, 10)}}, 1.3):
            console.print(table)

    text = captured.get()
    assert "1.20 (1.20 - 1.20)" in text
    assert "3.00 (3.00 - 3.00)" in text
    assert "1,000 (1000)" in text


def _by_hand(_tool: str, port: int, body: Path, *_load: float, **_more: float) -> h2load.Sample:
    """In place of h2load: a few calls one after another."""
    started, calls, size = time.perf_counter(), 5, 0
    with Client(port) as client:
        for _ in range(calls):
            size += len(client.infer(body.read_bytes()[PREFIX.size :])) + PREFIX.size
    took = time.perf_counter() - started
    return h2load.Sample(calls / took, calls, 0, took / calls, 0, 0, size)


@pytest.mark.usefixtures("no_h2load")
def test_an_ensemble_is_measured_beside_its_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(h2load, "run", _by_hand)
    out = tmp_path / "result.json"

    ensembles.ensembles(rounds=2, duration=1, streams=3, chains="small", triton=False, root=tmp_path, out=out)

    found = json.loads(out.read_text())["chains"]["small"]["servers"]["infermesh"]
    assert list(found["turns"]) == ["1", "3"]
    turns = found["turns"]["1"][SMALL.ensemble.name]
    assert len(turns) == 2
    for turn in turns:
        whole, *members = (turn["spent"][model.name] for model in (SMALL.ensemble, *SMALL.members))
        assert [it["requests"] for it in (whole, *members)] == [5] * (1 + MEMBERS)
        assert whole["total"] > sum(it["infer"] for it in members) > 0
        # An ensemble's own account of what is computed is that of its members.
        assert whole["infer"] == pytest.approx(sum(it["infer"] for it in members))
    assert found["ratios"]["duration / compute"]["low"] > 1
    assert "/ compute" in capsys.readouterr().out


@pytest.mark.usefixtures("no_h2load")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--chains", "small,nobody"], "small,nobody"),
        (["--chains", "small,small"], "each once"),
        (["--streams", "1"], "--streams"),
        (["--rounds", "0"], "--rounds"),
    ],
)
def test_a_wrong_option_is_refused(
    exit_code: Callable[..., object], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert exit_code(ensembles.main, *arguments) == 2

    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("no_h2load")
def test_the_lock_of_triton_is_missed_by_name(
    tmp_path: Path, exit_code: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(ensembles.main, "--root", str(tmp_path)) == 2

    assert "root of the repository" in capsys.readouterr().err
