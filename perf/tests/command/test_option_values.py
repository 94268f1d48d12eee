"""What options say, read into the terms of the suite."""

from pathlib import Path

import pytest
from infermesh_perf.command import values
from infermesh_perf.errors import SetupError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bert", ("bert", "9", 1)),
        (" bert ", ("bert", "9", 1)),
        ("bert:2", ("bert", "2", 1)),
        ("bert=0.5", ("bert", "9", 0.5)),
        ("bert:2=3", ("bert", "2", 3)),
    ],
)
def test_models(text: str, found: tuple[str, str, float]) -> None:
    assert values.model(text, "9") == found


@pytest.mark.parametrize(
    "text", ["", ":2", "=3", "bert:", "bert=", "bert=0", "bert=-1", "bert=x", "b=nan", "a:1:2"]
)
def test_what_is_no_model(text: str) -> None:
    with pytest.raises(SetupError, match="-m"):
        values.model(text, "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("16", [16]),
        ("1:4", [1, 2, 3, 4]),
        ("1:64:21", [1, 22, 43, 64]),
        ("1:10:4", [1, 5, 9]),
        ("8,1,4", [8, 1, 4]),
        ("8,", [8]),
        ("3:3", [3]),
    ],
)
def test_levels(text: str, found: list[float]) -> None:
    assert values.levels("-c", text, whole=True) == found


def test_levels_that_are_no_whole_numbers() -> None:
    assert values.levels("--rps", "0.1:0.3:0.1", whole=False) == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "x",
        "1:",
        ":4",
        "4:1",
        "1:4:0",
        "1:4:-1",
        "1:2:3:4",
        "0",
        "-1",
        "nan",
        "inf",
        "1e10",
        "1:5000",
    ],
)
def test_what_are_no_levels(text: str, whole: bool) -> None:
    with pytest.raises(SetupError, match=r"^--range: "):
        values.levels("--range", text, whole=whole)


def test_half_a_request_is_none() -> None:
    with pytest.raises(SetupError, match="expected whole numbers from 1"):
        values.levels("-c", "1:2:0.5", whole=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", None), ("300ms", 0.3), ("30s", 30), ("30", 30), ("1.5m", 90), ("2h", 7200), (" 5s ", 5)],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert values.duration("-z", text) == seconds


@pytest.mark.parametrize("text", ["0", "0s", "-5s", "5 s", "5d", "s", "1e3", "nan", "5s5"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(SetupError, match=r"^-z: found .* such as 30s, 5m or 1h"):
        values.duration("-z", text)


def test_numbers_between_two_others() -> None:
    assert values.within("-p", 50, 50, 60) == 50
    assert values.within("-p", 60, 50, 60) == 60
    for wrong in (49.9, 60.1, float("nan"), float("inf")):
        with pytest.raises(SetupError, match=r"^-p: found .*, expected 50 to 60 ms$"):
            values.within("-p", wrong, 50, 60, "ms")


def test_names_and_texts() -> None:
    assert values.names_and_texts("--tags", '{"a": "b", "c": ""}') == {"a": "b", "c": ""}
    assert values.names_and_texts("--tags", "") == {}


@pytest.mark.parametrize("text", ["{", "a=b", "[]", '"a"', '{"a": 1}', '{"a": null}'])
def test_what_are_no_names_and_texts(text: str) -> None:
    with pytest.raises(SetupError, match=r"^--tags: "):
        values.names_and_texts("--tags", text)


def test_shapes() -> None:
    assert values.shapes(["tokens:128", "input:0:3,224"]) == {"tokens": (128,), "input:0": (3, 224)}


@pytest.mark.parametrize(
    "text", ["", "tokens", "tokens:", ":3", "tokens:3,", "tokens:-1", "tokens:x", "tokens:1.5"]
)
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(SetupError, match=r"^--shape: "):
        values.shapes([text])


def test_ids_of_sequences() -> None:
    assert values.id_range("7") == (7, 0)
    assert values.id_range("7:7") == (7, 1)
    assert values.id_range("1:1000") == (1, 1000)


@pytest.mark.parametrize("text", ["", "0", "0:5", "7:6", "7:", ":7", "x", "-1", "1:2:3", str(1 << 63)])
def test_what_are_no_ids(text: str) -> None:
    with pytest.raises(SetupError, match=r"^--sequence-id-range: "):
        values.id_range(text)


def test_recorded_intervals(tmp_path: Path) -> None:
    (tmp_path / "gaps").write_text("100\n\n0\n250\n")

    gaps = values.intervals(tmp_path / "gaps")

    assert gaps == (100_000, 0, 250_000)
    load = values.replayed(gaps)
    assert (load.mode, load.distribution) == ("intervals", "replay")
    assert load.value == pytest.approx(3 / 350e-6)


@pytest.mark.parametrize("content", [b"", b"\n", b"0\n0\n", b"1.5\n", b"-3\n", b"a\n", b"\xff\xfe"])
def test_what_are_no_intervals(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gaps").write_bytes(content)
    with pytest.raises(SetupError, match=r"--request-intervals .*gaps: "):
        values.intervals(tmp_path / "gaps")


def test_intervals_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        values.intervals(tmp_path / "absent")
