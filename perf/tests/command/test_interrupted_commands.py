"""Ctrl-C, SIGTERM and a server that is gone, in the middle of a command: what was found is handed out."""

import json
import signal
from pathlib import Path

import pytest
from infermesh_perf.results import files
from infermesh_perf.results.document import Run
from support import onnx_models
from support.perf_command import Process
from support.recording_server import recording
from support.repository import Repository
from support.server import LOOPBACK, Server

LONG = ("-z", "60s", "-p", "100", "--warm-up", "0", "--no-calibration")


def loaded(path: Path) -> Run:
    found = files.load(path)
    assert isinstance(found, Run)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_was_measured(grpc: str, tmp_path: Path, number: int) -> None:
    path = tmp_path / "run.json"
    process = Process("run", "-m", "fixed", "-u", grpc, *LONG, "-o", path)
    process.wait_for("window 2")

    outcome = process.end(number)

    assert outcome.code == 3
    found = loaded(path)
    assert found.cut_short == "interrupted"
    assert found.levels[0].completed > 0
    assert 0.05 < found.levels[0].seconds < 50
    assert "interrupted" in outcome.out
    assert "Traceback" not in outcome.err


def test_an_interrupt_keeps_the_levels_before(grpc: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    process = Process(
        *("run", "-m", "fixed", "-u", grpc, "--concurrency-range", "1:900", "-z", "150ms", "--warm-up", "0"),
        *("--no-calibration", "-o", path),
    )
    process.wait_for("concurrency 3: ")

    assert process.end(signal.SIGTERM).code == 3

    found = loaded(path)
    assert [level.load.value for level in found.levels[:2]] == [1, 2]
    assert found.cut_short == "interrupted"


def test_an_interrupt_before_anything_was_measured(tmp_path: Path) -> None:
    with recording() as service:
        # Long: the model is known and has answered, requests do not count yet.
        process = Process(
            *("run", "-m", "m", "-u", f"127.0.0.1:{service.port}", "--warm-up", "50", "--no-calibration"),
            *("-o", tmp_path / "run.json"),
        )
        service.wait_for(3)

        outcome = process.end(signal.SIGINT)

    assert outcome.code == 1
    assert outcome.err.startswith("Error: ")
    assert "interrupted" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run.json").exists()


def test_an_interrupt_of_a_command_that_hands_nothing_out() -> None:
    process = Process("calibrate", "-z", "60s")
    process.wait_for_start()

    outcome = process.end(signal.SIGTERM)

    assert outcome.code == 1
    assert outcome.err.startswith("Error: ")
    assert "interrupted" in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""


@pytest.fixture
def mortal(tmp_path: Path) -> Server:
    repository = Repository.make(tmp_path / "repository")
    repository.onnx("fixed", onnx_models.identity("FP32", (2, 3)))
    server = Server(repository.root, *LOOPBACK)
    server.wait_ready()
    return server


def test_a_server_that_is_killed(mortal: Server, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    process = Process("run", "-m", "fixed", "-u", mortal.target, "-c", "2", *LONG, "-o", path)
    try:
        process.wait_for("window 2")
    finally:
        mortal.kill()

    outcome = process.end()

    assert outcome.code == 3
    found = loaded(path)
    assert found.cut_short.startswith("the server went away and did not come back within 5 s: ")
    (level,) = found.levels
    assert level.completed > 0
    assert level.connections_lost >= 1
    assert {failure.kind for failure in level.failures} <= {"CONNECTION", "UNAVAILABLE", "TIMEOUT"}
    assert "the server went away" in outcome.out
    assert json.loads(path.read_text())["cut_short"]
