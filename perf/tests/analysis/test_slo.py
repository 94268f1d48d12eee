from collections.abc import Callable

import pytest
from infermesh_perf.analysis.slo import parse
from infermesh_perf.errors import SetupError
from infermesh_perf.results.document import Level

MakeLevel = Callable[..., Level]
MS = 1_000_000


def test_reads_every_metric() -> None:
    objective = parse("p99<20ms, errors<0.1%,throughput>1000/s,mean<=5ms,p99.9<1s,max<2s")

    read = [(limit.metric, limit.percentile, limit.comparison, limit.limit) for limit in objective.limits]
    assert read == [
        ("percentile", 99, "<", 20 * MS),
        ("errors", None, "<", pytest.approx(0.001)),
        ("throughput", None, ">", 1000),
        ("mean", None, "<=", 5 * MS),
        ("percentile", 99.9, "<", 1000 * MS),
        ("max", None, "<", 2000 * MS),
    ]
    assert objective.limits[1].text == "errors<0.1%"
    assert objective.needs_percentile == 99.9


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("p50<800ns", 800),
        ("p50<800us", 800_000),
        ("p50<800\u00b5s", 800_000),
        ("p50<800\u03bcs", 800_000),
        ("p50<.5ms", 500_000),
        ("P50 < 2 S", 2_000_000_000),
        ("errors<=0.02", 0.02),
        ("errors<=0", 0),
        ("throughput>=0.5/s", 0.5),
    ],
)
def test_units(text: str, limit: float) -> None:
    assert parse(text).limits[0].limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "empty"),
        ("p99<20ms,", "nothing at character 10"),
        ("p99<20ms, p50<", "'p50<' at character 11"),
        ("p99=20ms", "'p99=20ms' at character 1"),
        ("p99<20", "a unit of ns us ms s"),
        ("p99<20%", "a unit of ns us ms s"),
        ("throughput>1000", "a unit of /s"),
        ("errors<1ms", "a unit of %"),
        ("p99<-1ms", "some results meet"),
        ("p99<0ms", "some results meet"),
        ("errors<-1%", "some results meet"),
        ("errors>100%", "some results meet"),
        ("errors<150%", "some results meet"),
        ("errors<=100%", "some results meet"),
        ("errors<0%", "some results meet"),
        ("throughput>=0/s", "some results meet"),
        ("p0<1ms", "a percentile above 0"),
        ("p100<1ms", "`max`"),
        ("p100.5<1ms", "a percentile above 0"),
        ("p9.9.9<1ms", "a percentile above 0"),
        ("p<1ms", "one of p50"),
        ("median<1ms", "one of p50"),
        ("max99<1ms", "one of p50"),
    ],
)
def test_says_where_and_gives_an_example(text: str, found: str) -> None:
    with pytest.raises(SetupError) as error:
        parse(text)

    assert found in str(error.value)
    assert "p99<20ms" in (error.value.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "p99<20ms,p99<30ms",
        "p99<20ms,p99.0<=20ms",
        "p50<5ms,p50>9ms",
        "p50<5ms,p50>=5ms",
        "p50>9ms,p99<5ms",
        "mean>9ms,max<5ms",
        "p99>9ms,max<5ms",
        "throughput>10/s,throughput<10/s",
    ],
)
def test_refuses_limits_that_exclude_each_other(text: str) -> None:
    with pytest.raises(SetupError) as error:
        parse(text)

    for part in text.split(","):
        assert repr(part) in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["p50>5ms,p50<9ms", "p99>9ms,p50<5ms", "p50>9ms,mean<5ms", "p50>=5ms,p50<=5ms", "p50>9ms,errors<1%"],
)
def test_keeps_limits_that_leave_room(text: str) -> None:
    assert len(parse(text).limits) == 2


def test_judges_each_limit(level: MakeLevel) -> None:
    found = level([2 * MS] * 97 + [50 * MS] * 3, failed=1, throughput=500)

    judgements = parse("p99<20ms,p96.5<20ms,max<60ms,mean<2ms,errors<2%,throughput>600/s").judge(found)

    assert [judgement.met for judgement in judgements] == [False, True, True, False, True, False]
    assert judgements[0].found == pytest.approx(50 * MS, rel=0.001)
    assert judgements[1].found == pytest.approx(2 * MS, rel=0.001)
    assert judgements[4].found == pytest.approx(1 / 101)
    assert str(judgements[5]) == "throughput > 600/s: 500/s"


def test_failures_are_limited_where_the_objective_does_not_say_how(level: MakeLevel) -> None:
    found = level([MS] * 500, failed=500)

    assert [judgement.met for judgement in parse("p99.9<20ms").judge(found)] == [True, False]
    assert [judgement.met for judgement in parse("p99.9<20ms,errors<60%").judge(found)] == [True, True]


@pytest.mark.parametrize(("text", "share"), [("p50<1ms", 0.01), ("p99.9<1ms", 0.001), ("mean<1ms", 0.01)])
def test_implied_errors_follow_the_highest_percentile(text: str, share: float) -> None:
    implied = parse(text).implied_errors

    assert implied is not None
    assert implied.limit == share
    assert implied.text == f"errors<={100 * share:g}% (implied)"


def test_without_an_answer_nothing_is_met(level: MakeLevel) -> None:
    judgements = parse("p99<20ms,mean<1s,errors<1%,throughput>1/s").judge(level([]))

    assert not any(judgement.met for judgement in judgements)
    assert str(judgements[0]) == "p99 < 20 ms: no answer"


def test_a_search_refuses_lower_limits() -> None:
    parse("p99<20ms,errors<1%").refuse_lower_limits()

    with pytest.raises(SetupError, match="throughput>1000/s"):
        parse("p99<20ms,throughput>1000/s").refuse_lower_limits()
