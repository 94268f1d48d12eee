"""`infermesh perf peers` as people run it: a process that is told to end."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from infermesh import cli
from infermesh_perf.bodies import infer_request
from infermesh_perf.command.peers import app
from infermesh_perf.memory import tree
from infermesh_perf.models import MODELS
from infermesh_perf.peers import Envoy
from infermesh_perf.rpc import Client, check_answer

MODEL = MODELS["perceptron"]
# By the mapping of errors to exit codes that the whole command has.
MAIN = "from infermesh import cli; from infermesh_perf.command.peers import app; cli.app = app; cli.main()"
SECONDS = 30

Run = Callable[..., tuple[object, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The same within this process, for what starts nothing: exit code, stdout, stderr."""

    def run(*arguments: str | Path) -> tuple[object, str, str]:
        monkeypatch.setattr(cli, "app", app)
        with pytest.raises(SystemExit) as exited:
            cli.main([*map(str, arguments)])
        said = capsys.readouterr()
        return exited.value.code, said.out, said.err

    return run


@contextmanager
def _started(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, list[str]]]]:
    """The command with the rows of its table, by name; it must have ended at the end of the block."""
    command = [sys.executable, "-c", MAIN, "start", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if "Ctrl-C" in line:
                    break
            assert said[-1:] == ["Ctrl-C ends them\n"], "".join(said)
            assert process.stdout.readline().split() == ["NAME", "ADDRESS", "MODEL", "METRICS"]
            # A row for each process that it has started.
            children = len(tree(process.pid)) - 1
            rows = dict(_row(process.stdout.readline()) for _ in range(children))
            yield process, rows
            assert process.wait(SECONDS) is not None
        finally:
            if process.poll() is None:
                process.terminate()


def _row(line: str) -> tuple[str, list[str]]:
    name, *rest = line.split()
    return name, rest


def _port(address: str) -> int:
    host, _, port = address.partition(":")
    assert host == "127.0.0.1"
    return int(port)


def test_servers_run_until_ctrl_c(root: Path) -> None:
    with _started("infermesh", "--root", root) as (process, rows):
        children = [pid for pid in tree(process.pid) if pid != process.pid]
        assert set(rows) == {"infermesh"}
        address, model = rows["infermesh"]
        assert model == MODEL.name
        check_answer(_port(address), MODEL, root / ".peers" / "models" / "perceptron.onnx", rows=2)
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0
    assert children
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_an_own_model_and_an_envoy_before_it(root: Path) -> None:
    if (why := Envoy(root).missing()) is not None:
        pytest.skip(why)
    path = MODEL.save(root / "mine")
    with _started("infermesh", "--onnx", path, "--envoy", "--root", root) as (process, rows):
        assert list(rows) == ["infermesh", "envoy-infermesh"]
        assert rows["envoy-infermesh"][2].startswith("http://127.0.0.1:")
        with Client(_port(rows["envoy-infermesh"][0])) as client:
            client.infer(infer_request(MODEL, MODEL.sample(1)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0


def test_a_server_that_ends_by_itself_ends_all(root: Path) -> None:
    with _started("infermesh", "--root", root) as (process, _):
        (child,) = [pid for pid in tree(process.pid) if pid != process.pid]
        os.kill(child, signal.SIGKILL)
        assert process.wait(SECONDS) == 1
        assert process.stderr is not None
        said = process.stderr.read()
    assert "infermesh ended by itself" in said
    assert "server.log" in said


def test_the_list_tells_what_is_set_up(root: Path, run: Run) -> None:
    code, out, _ = run("list", "--root", root)
    assert code == 0
    rows = {line.split()[0]: line.split()[1] for line in out.splitlines()[1:]}
    assert (rows["infermesh"], rows["triton"], rows["mlserver"]) == ("yes", "no", "no")
    assert {"envoy", "perf-analyzer", "infermesh-python"} < set(rows)


def test_what_is_there_is_set_up_at_once(root: Path, run: Run) -> None:
    code, _, err = run("setup", "infermesh", "--root", root)
    assert (code, "infermesh is set up" in err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("start", "nobody"), "found 'nobody', expected some of triton, mlserver, infermesh"),
        (("start", "envoy"), "found 'envoy'"),
        (("start", "infermesh", "infermesh"), "each once"),
        (("start", "triton"), "infermesh perf peers setup triton"),
        (("start", "infermesh", "--compute-bound"), "--onnx"),
        (("start", "infermesh", "--onnx", __file__), "cannot be read as an ONNX model"),
        (("start", "infermesh", "--onnx", "absent.onnx"), "absent.onnx"),
        (("start",), "NAME"),
        (("setup", "nobody"), "found 'nobody', expected some of triton"),
    ],
)
def test_wrong_usage(root: Path, run: Run, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = run(*arguments, "--root", root)
    assert (code, message in err) == (2, True), err
