import pytest
from infermesh_perf.report.format import duration, flat, printable, size


@pytest.mark.parametrize(
    ("ns", "text"), [(0, "0 ns"), (850, "850 ns"), (1500, "1.5 µs"), (23.45e6, "23.4 ms"), (2e9, "2 s")]
)
def test_times_have_the_unit_that_suits_them(ns: float, text: str) -> None:
    assert duration(ns) == text


@pytest.mark.parametrize(("count", "text"), [(12, "12 B"), (1536, "1.5 KiB"), (64 << 30, "64 GiB")])
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_nothing_a_terminal_obeys_is_printed() -> None:
    assert printable("a\x1b[2J\x07b\nc µ") == "a�[2J�b\nc µ"


def test_nested_facts_become_lines() -> None:
    facts = {"client": {"memory_bytes": 1 << 30, "virtual": True, "gpus": ["a", "b"]}, "release": None}

    assert flat(facts) == [
        ("client memory", "1 GiB"),
        ("client virtual", "yes"),
        ("client gpus", "a, b"),
        ("release", "-"),
    ]
