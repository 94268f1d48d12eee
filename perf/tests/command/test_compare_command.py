"""`infermesh perf compare`: a server with itself, with one that is slower, and with a result of before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from infermesh_perf.results import files
from infermesh_perf.results.document import Comparison
from support.perf_command import Perf
from support.python_models import STEADY
from support.repository import Repository
from support.server import LOOPBACK, Server, serving

QUICK = ("-z", "60ms", "--warm-up", "0", "--no-calibration")


def steady(root: Path, seconds: float) -> Path:
    """A repository whose model `m` takes so long for each request."""
    repository = Repository.make(root)
    parameters = f'parameters {{ key: "seconds" value {{ string_value: "{seconds}" }} }}\n'
    repository.python("m", STEADY, config=parameters)
    return repository.root


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(steady(tmp_path_factory.mktemp("quick"), 0.001), *LOOPBACK) as server:
        yield server


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(steady(tmp_path_factory.mktemp("slow"), 0.012), *LOOPBACK) as server:
        yield server


def compared(path: Path) -> Comparison:
    found = files.load(path)
    assert isinstance(found, Comparison)
    return found


def test_a_server_with_itself(perf: Perf, quick: Server, tmp_path: Path) -> None:
    path = tmp_path / "ab.json"

    # Of one server twice, less than half of the time or more than twice as much is no difference of its own.
    outcome = perf(
        *("compare", quick.target, quick.target, "-m", "m", "-c", "1", "--minimum-effect", "100"),
        *(*QUICK, "--figures", "throughput,p50", "-o", path, "--tags", '{"a": "b"}'),
    )

    found = compared(path)
    assert outcome.code in (0, 3), outcome
    assert found.verdict in ("same", "unclear")
    # As many rounds as its confidence needs, ABBA.
    assert found.order == "ABBAABBAABBA"
    assert [ratio.name for ratio in found.ratios] == ["throughput", "p50"]
    assert all(len(ratio.a) == len(ratio.b) == 6 for ratio in found.ratios)
    assert found.tags == {"a": "b"}
    assert len(found.a.levels) == len(found.b.levels) == 6


def test_one_that_is_slower(perf: Perf, quick: Server, slow: Server, tmp_path: Path) -> None:
    path = tmp_path / "ab.json"
    ask = ("compare", quick.target, slow.target, "-m", "m", "-c", "1", *QUICK)

    outcome = perf(*ask, "--rounds", "6", "--figures", "throughput,p50,mean", "-o", path)

    assert compared(path).verdict == "worse"
    assert outcome.code in (5, 3), outcome
    assert {ratio.name: ratio.verdict for ratio in compared(path).ratios} == {
        "throughput": "worse",
        "p50": "worse",
        "mean": "worse",
    }


def test_several_loads(perf: Perf, quick: Server, tmp_path: Path) -> None:
    path = tmp_path / "ab.json"

    perf(
        *("compare", quick.target, quick.target, "-m", "m", "--concurrency-range", "1,2", "--rounds", "2"),
        *(*QUICK, "--figures", "p50", "-o", path),
    )

    assert [ratio.name for ratio in compared(path).ratios] == ["p50 at concurrency 1", "p50 at concurrency 2"]


def test_a_result_of_before(perf: Perf, quick: Server, slow: Server, tmp_path: Path) -> None:
    baseline, path = tmp_path / "baseline.json", tmp_path / "gate.json"
    made = perf("run", "-u", quick.target, "-m", "m", "-c", "1", "--rounds", "6", *QUICK, "-o", baseline)
    assert made.code in (0, 3)

    outcome = perf(
        "compare", slow.target, "--baseline", baseline, "-m", "m", *QUICK, "--figures", "p50", "-o", path
    )

    found = compared(path)
    assert found.verdict == "worse"
    assert outcome.code in (5, 3)
    assert found.order == "BBBBBB"
    assert found.a == files.load(baseline)
    # And a comparison is a baseline, too: its side B.
    again = perf(
        "compare", slow.target, "--baseline", path, "-m", "m", *QUICK, "--figures", "p50", "-o", path
    )
    assert again.code in (0, 3)
    assert compared(path).verdict in ("same", "unclear")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument"),
        (("a",), "found 1 addresses, expected two addresses, A and B"),
        (("a", "b", "c"), "found 3 addresses"),
        (("a", "b", "-u", "c"), "-u is without effect"),
        (("a", "b", "--baseline", "x.json"), "expected one address beside --baseline"),
        (("a", "--baseline", "absent.json"), "there is no such file"),
        (("a", "b", "--rounds", "1"), "--rounds"),
        (("a", "b", "--confidence", "40"), "--confidence"),
        (("a", "b", "--confidence", "nan"), "--confidence"),
        (("a", "b", "--minimum-effect", "-1"), "--minimum-effect"),
        (("a", "b", "--minimum-effect", "nan"), "--minimum-effect"),
        (("a", "b", "--figures", "p99,nonsense"), "nonsense"),
        (("a", "b", "--figures", ","), "--figures"),
        (("a", "b", "-c", "1", "--rps", "5"), "two kinds of load"),
        (("a", "b", "-c", "0"), "-c"),
    ],
)
def test_comparisons_that_make_no_sense(perf: Perf, arguments: tuple[str, ...], said: str) -> None:
    outcome = perf("compare", "-m", "m", *QUICK, *arguments)

    assert outcome.code == 2, outcome
    assert said in outcome.err


def test_baselines_that_make_no_sense(perf: Perf, quick: Server, tmp_path: Path) -> None:
    one, gaps = tmp_path / "one.json", tmp_path / "gaps"
    gaps.write_text("5000\n")
    perf("run", "-u", quick.target, "-m", "m", *QUICK, "-o", one)

    few = perf("compare", quick.target, "-m", "m", "--baseline", one)
    perf(
        *("run", "-u", quick.target, "-m", "m", "--request-intervals", gaps, "--rounds", "2"),
        *QUICK,
        "-o",
        one,
    )
    recorded = perf("compare", quick.target, "-m", "m", "--baseline", one)
    another = perf("compare", quick.target, "-m", "m", "--baseline", one, "-c", "2")

    assert (few.code, recorded.code, another.code) == (2, 2, 2)
    assert "found 1 round of a load, expected several" in few.err
    assert "--baseline has recorded intervals" in recorded.err
    assert "without effect" in another.err


def test_a_side_that_cannot_be_reached(perf: Perf, quick: Server) -> None:
    outcome = perf("compare", quick.target, "127.0.0.1:1", "-m", "m", *QUICK)

    assert outcome.code == 1
    assert "127.0.0.1:1" in outcome.err
