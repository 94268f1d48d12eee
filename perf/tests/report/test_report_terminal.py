import io

import pytest
from infermesh_perf.report import terminal
from infermesh_perf.results.document import Comparison, Run
from rich.console import Console
from rich.text import Text
from support import perf_documents


def _shown(document: Run | Comparison, *, width: int | None = None) -> str:
    """On a screen of `width` columns, or in a stream."""
    stream = io.StringIO()
    terminal.show(document, Console(file=stream, force_terminal=width is not None, width=width))
    return stream.getvalue()


def test_a_stream_gets_a_line_for_each_load_without_decoration() -> None:
    text = _shown(perf_documents.run())

    assert "\x1b" not in text
    assert "─" not in text
    loads = [line for line in text.splitlines() if line.startswith("concurrency ")]
    assert len(loads) == 6
    assert all(" ms" in line and line.rstrip().endswith("valid") for line in loads)


def test_sentences_are_not_broken_in_a_stream() -> None:
    text = _shown(perf_documents.failing(hostile="x" * 300))

    assert f"the target closed all connections: {'x' * 300}." in text


@pytest.mark.parametrize("width", [80, 120])
def test_a_screen_gets_colours_and_no_more_than_its_width(width: int) -> None:
    text = _shown(perf_documents.run(), width=width)

    assert "\x1b[" in text
    assert max(len(line) for line in Text.from_ansi(text).plain.splitlines()) <= width
    assert "p99.9" in text


def test_what_was_wrong_and_what_to_do() -> None:
    text = _shown(perf_documents.failing())

    assert "INVALID: the measurement does not hold" in text
    assert "send lag at 6,000/s poisson: found p99 4.1 ms, limit at most 1 ms." in text
    assert "Give the client more threads" in text


def test_names_are_no_markup_and_no_commands() -> None:
    text = _shown(perf_documents.failing(hostile="[bold]x[/bold]\x1b[2J"), width=200)

    assert "[bold]x[/bold]" in text
    assert "\x1b[2J" not in text


def test_columns_without_anything_are_left_out() -> None:
    text = _shown(perf_documents.unanswered())

    assert "p99.9" not in text
    assert "Objective not met" in text


def test_a_comparison_has_its_ratios() -> None:
    text = _shown(perf_documents.comparison())

    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["p99"][-1] == "worse"
    assert "A: localhost:8001" in text
    assert "B: b:8001" in text
