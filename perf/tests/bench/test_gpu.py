"""The GPU script where there is no GPU, and what it measures with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from infermesh_perf.bench.gpu import machine
from infermesh_perf.bench.gpu.cases import ALONE_ROWS, CASES, Carried, Case
from infermesh_perf.bench.gpu.checks import Question, ask
from infermesh_perf.bench.gpu.load import caller
from infermesh_perf.bench.gpu.server import gpu_server
from infermesh_perf.models import MODELS, Load


def test_a_machine_without_a_gpu_is_told_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infermesh_perf.bench.gpu", "--out", str(tmp_path / "out.json")]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "PATH": str(tmp_path)}
    )
    assert done.returncode == 3, done.stderr
    assert "nvidia-smi was not found" in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_a_driver_without_a_gpu_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert machine.absent() == "the NVIDIA driver sees no GPU: No devices were found"


def test_every_case_has_a_name_of_its_own_and_a_pace_to_be_held_against() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.model.name for case in CASES} == set(ALONE_ROWS)


@pytest.mark.parametrize("carried", Carried)
def test_the_load_counts_samples_that_were_answered(tmp_path: Path, carried: Carried) -> None:
    model = MODELS["perceptron"]
    case = Case("small", model, "instance_group { kind: KIND_CPU }\n", Load(rows=4, streams=4), 2, carried)
    path = model.save(tmp_path / "files")
    with gpu_server(tmp_path, {case.name: (path, case.config)}) as server:
        with caller(tmp_path, server.port, case) as load:
            assert load.run(1) > 0
        assert server.metrics()["nv_inference_count"] > 0


def test_a_check_that_fails_says_why(tmp_path: Path) -> None:
    def broken(folder: Path) -> tuple[bool, str]:
        raise ValueError(f"{folder.name} is empty")

    good = Question("good", lambda folder: (folder.is_dir(), "found"))
    made = list(ask([good, Question("broken", broken)], [good], tmp_path))
    assert [(check.name, check.passed, check.said) for check in made] == [
        ("good", True, "found"),
        ("broken", False, "1 is empty"),
        ("good", True, "found"),
    ]
