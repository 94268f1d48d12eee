"""What two scans of a repository differ in."""

from dataclasses import replace
from pathlib import Path

from infermesh_servers.model.plan import Plan, plan
from infermesh_servers.model.repository import ModelEntry, ModelVersion


def entry(name: str, *versions: int, config: int = 0, age: int = 0, problem: str = "") -> ModelEntry:
    return ModelEntry(
        name,
        Path(name),
        None,
        "onnxruntime",
        tuple(
            ModelVersion(number, Path(name, str(number)), (("model.onnx", 1, age, 1),)) for number in versions
        ),
        (("config.pbtxt", 1, config, 1),),
        problems=(problem,) if problem else (),
    )


def steps(plan: Plan) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    return [(entry.name, version.number) for entry, version in plan.load], list(plan.unload)


def test_nothing_changed_is_nothing_to_do() -> None:
    old = {"a": entry("a", 1)}
    assert plan(old, {"a": entry("a", 1)}, {"a": {1}}) == Plan()


def test_a_new_model_is_loaded() -> None:
    assert steps(plan({}, {"a": entry("a", 1, 2)}, {})) == ([("a", 1), ("a", 2)], [])


def test_a_new_version_replaces_the_one_before() -> None:
    assert steps(plan({"a": entry("a", 1)}, {"a": entry("a", 2)}, {"a": {1}})) == ([("a", 2)], [("a", 1)])


def test_only_the_changed_version_is_loaded_again() -> None:
    old, new = entry("a", 1, 2), entry("a", 1, 2)
    new = replace(new, versions=(old.versions[0], entry("a", 2, age=5).versions[0]))
    assert steps(plan({"a": old}, {"a": new}, {"a": {1, 2}})) == ([("a", 2)], [])


def test_a_changed_configuration_loads_every_version_again() -> None:
    old, new = {"a": entry("a", 1, 2)}, {"a": entry("a", 1, 2, config=5)}
    assert steps(plan(old, new, {"a": {1, 2}})) == ([("a", 1), ("a", 2)], [])


def test_a_model_that_is_gone_is_unloaded() -> None:
    old = {"a": entry("a", 1, 2), "b": entry("b", 1)}
    assert steps(plan(old, {"b": entry("b", 1)}, {"a": {1, 2}, "b": {1}})) == ([], [("a", 1), ("a", 2)])


def test_a_model_that_broke_stays_in_service_and_is_told_once() -> None:
    broken = {"a": entry("a", problem="a typing error")}
    first = plan({"a": entry("a", 1)}, broken, {"a": {1}})
    assert first == Plan(broken=(broken["a"],))
    assert plan(broken, broken, {"a": {1}}) == Plan()


def test_a_model_that_was_mended_is_loaded_and_its_complaint_taken_off_the_list() -> None:
    broken, mended = entry("a", problem="a typing error"), entry("a", 1, config=5)
    assert steps(plan({"a": broken}, {"a": mended}, {"a": {0}})) == ([("a", 1)], [("a", 0)])


def test_a_version_that_failed_is_not_tried_again_until_it_changes() -> None:
    same = {"a": entry("a", 1)}
    assert plan(same, same, {"a": {1}}) == Plan()
