"""docs/guides/identity.md: its commands print what it says, and its clients reach its server."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import onnx_models
from support.identity_command import Command, in_process
from support.repository import Repository
from support.server import LOOPBACK, Server, serving

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "identity.md"

CONSOLES = re.findall(r"```console\n(.*?)```", GUIDE.read_text(), re.DOTALL)
CLIENTS = re.findall(r"```python\n# client: (\w+)\n(.*?)```", GUIDE.read_text(), re.DOTALL)

#: What differs from one run to the next, and the spaces that it moves.
VARIES = (
    (r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d UTC)?", "TIME"),
    (r"\d+ (d|h|min|s)\b( \d+ (h|min|s)\b)?", "SPAN"),
    (r"\b[0-9a-f]{36,40}\b", "SERIAL"),
    (r"  +", "  "),
    (r" +\n", "\n"),
)


def commands() -> list[tuple[list[str], str]]:
    """Each command of the guide with what it prints, in order."""
    found = []
    for block in CONSOLES:
        for command in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
            line, _, printed = command.partition("\n")
            program, *words = shlex.split(line)
            assert program == "infermesh"
            found.append((words, printed))
    return found


def unvaried(text: str) -> str:
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return text


@pytest.fixture
def identity(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return in_process(capsys)


@pytest.fixture
def server(identity: Command, tmp_path: Path) -> Iterator[Server]:
    """As the guide starts it, once what comes before is done."""
    repository = Repository.make(tmp_path / "models")
    repository.onnx("add", onnx_models.add())
    for words, _ in commands():
        if words[0] == "identity" and words[1] in ("init", "issue") and "--watch" not in words:
            identity(*words[1:])
    ((_, *options),) = (words for words, _ in commands() if words[0] == "serve")
    with serving(*options, *LOOPBACK) as server:
        yield server


def test_commands_print_what_it_says(identity: Command) -> None:
    ran = 0
    for words, printed in commands():
        if words[0] == "identity" and "--watch" not in words:
            outcome = identity(*words[1:])
            assert outcome.err == ""
            assert unvaried(outcome.out) == unvaried(printed), words
            assert outcome.code == ("problem" in printed), words
            ran += 1
    assert ran == 6


@pytest.mark.parametrize(("name", "block"), CLIENTS, ids=[name for name, _ in CLIENTS])
def test_clients_reach_the_server(
    server: Server, name: str, block: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ":8001" in block
    capsys.readouterr()

    exec(compile(block.replace(":8001", f":{server.port}"), f"{GUIDE}: {name}", "exec"), {})

    assert capsys.readouterr().out == "True\n"
    assert re.findall(r"print\(.*\)  # (.*)", block) == ["True"]


def test_there_are_clients() -> None:
    assert {name for name, _ in CLIENTS} == {"grpcio", "tritonclient"}
