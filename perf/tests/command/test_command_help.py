"""Every flag says what it does and shows how; every example is one that works."""

import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from infermesh_perf.command.app import COMMANDS, app
from infermesh_perf.command.reference import reference
from support.perf_command import Perf, options_of

#: The commands that measure, or show what was measured.
MEASURING = ["run", "search", "compare", "scenario", "calibrate", "report"]
REFERENCE = Path(__file__).parents[3] / "docs" / "perf-flags.md"

#: Of perf_analyzer, then of ghz.
KNOWN = """
-m -x -u -b -p -s --shape --input-data --concurrency-range --request-rate-range --request-distribution
--binary-search --latency-threshold --percentile --measurement-interval --stability-percentage --max-trials
--warmup-request-count --request-count --request-intervals --shared-memory --streaming --sequence-length
--profile-export-file --collect-metrics --metrics-url

--rps --connections -c -n -z --metadata --cacert --cert --key --insecure -O -o --tags
"""


def command(name: str) -> Any:
    group: Any = typer.main.get_command(app)
    return group.get_command(None, name)


@pytest.mark.parametrize("flag", KNOWN.split())
def test_flags_that_people_know(flag: str) -> None:
    assert flag in options_of(command("run"))


@pytest.mark.parametrize("name", MEASURING)
def test_every_option_says_what_it_does_and_shows_how(name: str) -> None:
    for flag, parameter in options_of(command(name)).items():
        if parameter.name != "help":
            says, _, example = parameter.help.partition(" Example: ")
            assert says.endswith((".", "(half a second).")) or "," in says, flag
            used = {word.partition("=")[0] for word in shlex.split(example)}
            assert used & set(parameter.opts), (flag, example)
            # Whatever else the example uses is there, too.
            assert {word for word in used if word.startswith("-")} <= set(options_of(command(name))), flag


def examples() -> list[str]:
    found = []
    for name in COMMANDS:
        text = getattr(import_module(f"infermesh_perf.command.{name}"), "EXAMPLES", "")
        found += [line.strip() for line in text.splitlines() if line.startswith("  infermesh perf ")]
    return found


@pytest.mark.parametrize("line", examples())
def test_examples_are_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The one file that is looked for while parsing.
    (tmp_path / "model.onnx").touch()
    monkeypatch.chdir(tmp_path)
    _, _, name, *words = shlex.split(line.partition(" > ")[0])
    found = command(name)
    while hasattr(found, "commands"):
        name, *words = words
        found = found.commands[name]

    # Parsing alone: nothing is opened, nothing runs.
    context = found.make_context(name, words)

    assert context.args == []


def test_there_are_examples_of_every_command_that_measures() -> None:
    assert {line.split()[2] for line in examples()} >= set(MEASURING)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_group_lists_its_commands(perf: Perf, flag: str) -> None:
    outcome = perf(flag)

    assert outcome.code == 0
    for name, line in COMMANDS.items():
        assert name in outcome.out
        assert line in outcome.out


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(perf: Perf, name: str) -> None:
    outcome = perf(name, "--help")

    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: infermesh perf {name}")
    assert outcome.err == ""


def test_help_has_the_headings_of_the_groups(perf: Perf) -> None:
    help_ = perf("run", "--help").out

    for heading in ("Target", "What is sent", "How much is sent", "How long", "Sequences", "Results"):
        assert f"\n{heading}:\n" in help_
    assert "Exit codes:" in help_


@pytest.mark.parametrize("arguments", [("nonsense",), ("run",), ("run", "-m", "a", "--nonsense")])
def test_what_is_no_command(perf: Perf, arguments: tuple[str, ...]) -> None:
    outcome = perf(*arguments)

    assert outcome.code == 2
    assert "Error: " in outcome.err


def test_the_reference_is_that_of_the_commands() -> None:
    assert REFERENCE.read_text() == reference(), (
        "python -m infermesh_perf.command.reference > docs/perf-flags.md"
    )
