from collections.abc import Callable
from pathlib import Path

import pytest
from infermesh_perf.bench import __main__ as bench

pytestmark = pytest.mark.usefixtures("no_h2load")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--peers", "triton,nobody"), ("--models", "mlp,mlp"), ("--streams", "1,x"), ("--streams", "0")],
)
def test_a_wrong_option_is_named_with_what_was_found(
    option: str, value: str, exit_code: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(bench.main, option, value) == 2

    message = capsys.readouterr().err
    assert option in message
    assert value in message


def test_a_missing_lock_is_a_setup_error(
    tmp_path: Path, exit_code: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(bench.main, "--peers", "mlserver", "--root", str(tmp_path)) == 2

    assert "root of the repository" in capsys.readouterr().err


def test_help_shows_examples(exit_code: Callable[..., object], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(bench.main, "--help") == 0

    shown = capsys.readouterr().out
    assert "--models perceptron" in shown
    assert "--no-sidecar" in shown
