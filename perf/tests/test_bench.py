import sys
from pathlib import Path

import pytest
from infermesh_perf import bench, h2load


@pytest.fixture(autouse=True)
def _tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2load, "find", lambda: "h2load")


def _exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as exited:
        bench.main()
    return exited.value.code


@pytest.mark.parametrize(
    ("option", "value"),
    [("--peers", "triton,nobody"), ("--models", "mlp,mlp"), ("--streams", "1,x"), ("--streams", "0")],
)
def test_a_wrong_option_is_named_with_what_was_found(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _exit_code(monkeypatch, option, value) == 2

    message = capsys.readouterr().err
    assert option in message
    assert value in message


def test_a_missing_lock_is_a_setup_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _exit_code(monkeypatch, "--peers", "mlserver", "--root", str(tmp_path)) == 2

    assert "root of the repository" in capsys.readouterr().err


def test_help_shows_examples(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code(monkeypatch, "--help") == 0

    assert "--models perceptron" in capsys.readouterr().out
