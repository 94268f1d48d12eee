from infermesh_perf.report import verdict
from support import perf_documents


def test_an_objective_that_some_loads_meet() -> None:
    found = verdict.of(perf_documents.run())

    assert (found.tone, found.headline) == ("warn", "Objective met at 5 of 6 loads")
    assert found.sentences[0].startswith(
        "Objective: p99<20ms,errors<0.1%. First missed at concurrency 64: p99 < 20 ms: "
    )
    assert found.sentences[1].startswith(
        "Highest throughput that meets the objective: 4,200/s at concurrency 32"
    )


def test_a_search_says_how_sure_it_is() -> None:
    run = perf_documents.search()
    assert run.certificate is not None

    found = verdict.of(run)

    assert (found.tone, found.headline) == ("good", "Objective met")
    assert run.certificate.sentence in found.sentences


def test_a_search_goes_too_far_on_purpose() -> None:
    found = verdict.of(perf_documents.run().model_copy(update={"kind": "search"}))

    assert found.tone == "good"


def test_an_invalid_run_says_so_first_whatever_its_figures_are() -> None:
    found = verdict.of(perf_documents.failing())

    assert (found.tone, found.headline) == ("bad", "INVALID: the measurement does not hold")
    assert found.sentences[0] == "The run was cut short: the target closed all connections: digits."
    assert [(each.where, each.check.name) for each in found.failed] == [("6,000/s poisson", "send lag")]


def test_no_answer_meets_no_objective() -> None:
    found = verdict.of(perf_documents.unanswered())

    assert (found.tone, found.headline) == ("bad", "Objective not met")
    assert "p99 < 20 ms: no answer" in found.sentences[0]
    assert len(found.sentences) == 1


def test_nothing_measured_is_invalid() -> None:
    assert verdict.of(perf_documents.run().model_copy(update={"levels": []})).headline.startswith("INVALID")


def test_without_an_objective_there_is_only_validity() -> None:
    run = perf_documents.run()
    levels = [level.model_copy(update={"objective_met": None, "stable": False}) for level in run.levels[:1]]

    found = verdict.of(run.model_copy(update={"levels": levels, "objective": ""}))

    assert (found.tone, found.headline) == ("neutral", "Valid; no objective was set")
    assert found.sentences[-1] == "Not stable when measuring ended: concurrency 2."


def test_a_comparison_says_what_each_ratio_says() -> None:
    found = verdict.of(perf_documents.comparison())

    assert (found.tone, found.headline) == ("bad", "B is worse than A")
    assert "p50: better, B / A is 0.88 (0.862 to 0.898 with 95 % confidence)." in found.sentences


def test_a_comparison_names_the_side_that_is_invalid() -> None:
    comparison = perf_documents.comparison()

    found = verdict.of(comparison.model_copy(update={"b": perf_documents.failing()}))

    assert found.headline.startswith("INVALID")
    assert found.failed[0].where == "B, 6,000/s poisson"
    assert found.sentences[0].startswith("B: The run was cut short")
