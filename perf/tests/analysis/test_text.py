import pytest
from infermesh_perf.analysis.text import duration, rate, share


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (850, "850 ns"),
        (1_000, "1 us"),
        (20_000_000, "20 ms"),
        (23_140_000, "23.1 ms"),
        (999_900_000, "1 s"),
        (1_500_000_000, "1.5 s"),
        (1_234_000_000_000, "1,234 s"),
    ],
)
def test_duration(nanoseconds: float, text: str) -> None:
    assert duration(nanoseconds) == text


def test_share_is_not_rounded_up_to_all() -> None:
    assert [share(value) for value in (0, 0.001, 0.123456, 0.99, 0.995, 0.9999, 1)] == [
        "0 %",
        "0.1 %",
        "12.3 %",
        "99 %",
        "99.5 %",
        "99.99 %",
        "100 %",
    ]


def test_rate() -> None:
    assert [rate(value) for value in (0.5, 12.34, 4120)] == ["0.5/s", "12.3/s", "4,120/s"]
