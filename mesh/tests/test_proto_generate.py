"""The committed stubs follow from protos/, and the check notices when they do not."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A tree that a test may damage."""
    ignore = shutil.ignore_patterns("__pycache__")
    for part in ("protos", "mesh/infermesh/proto"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=ignore)
    return tmp_path


def test_committed_stubs_are_up_to_date() -> None:
    done = generate(ROOT, "--check")
    assert done.returncode == 0, done.stderr


def test_check_names_what_a_changed_proto_would_change(copy: Path) -> None:
    proto = copy / "protos/inference/model_config.proto"
    text, count = re.subn(r"bool decoupled = 1;", "bool decoupled = 2;", proto.read_text())
    assert count == 1
    proto.write_text(text)
    before = snapshot(copy)
    done = generate(copy, "--check")
    assert done.returncode == 1
    assert "inference/model_config_pb2.py (differs)" in done.stderr
    assert "grpc_health_v1" not in done.stderr
    assert "python protos/generate.py" in done.stderr
    assert snapshot(copy) == before


def test_check_names_missing_and_stale_stubs(copy: Path) -> None:
    stubs = copy / "mesh/infermesh/proto"
    (stubs / "grpc_health_v1/health_pb2.pyi").unlink()
    (stubs / "inference/gone_pb2.py").write_text("")
    done = generate(copy, "--check")
    assert done.returncode == 1
    assert "grpc_health_v1/health_pb2.pyi (missing)" in done.stderr
    assert "inference/gone_pb2.py (stale)" in done.stderr


def test_generate_mends_what_check_found(copy: Path) -> None:
    wanted = snapshot(copy)
    stubs = copy / "mesh/infermesh/proto"
    (stubs / "inference/model_config_pb2.py").write_text("")
    (stubs / "inference/gone_pb2.py").write_text("")
    assert generate(copy).returncode == 0
    assert snapshot(copy) == wanted


def test_a_broken_proto_is_reported_with_file_and_line(copy: Path) -> None:
    (copy / "protos/grpc/health/v1/health.proto").write_text('syntax = "proto3";\nmessage {}\n')
    done = generate(copy, "--check")
    assert done.returncode == 1
    assert "health.proto:2" in done.stderr


def snapshot(root: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "protos/generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
