"""What the exit code says of a result."""

from datetime import UTC, datetime
from typing import Any

import pytest
from infermesh_perf.command import exits
from infermesh_perf.results.document import Certificate, Check, Comparison, Level, Load, Run
from support import perf_levels

LOAD = Load(mode="concurrency", value=1)
BROKEN = [Check(name="client CPU", passed=False, found="99 %", limit="90 %")]


def level(met: bool | None = None, *, valid: bool = True) -> Level:
    made = perf_levels.level(LOAD, checks=[] if valid else BROKEN)
    return made.model_copy(update={"objective_met": met})


def run(*levels: Level, **more: Any) -> Run:
    return Run.model_validate(
        {
            "kind": "run",
            "command": [],
            "started": datetime.now(UTC),
            "seconds": 1,
            "environment": {},
            "target": {"url": "", "protocol": "grpc", "tls": False},
            "workloads": [],
            "levels": list(levels),
            **more,
        }
    )


CERTIFICATE = Certificate(
    objective="p99<1s", rate=1, confidence=0.99, requests=1, over=0, sentence="It holds."
)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (run(level()), 0),
        (run(level(True), level(False)), 0),
        (run(level(False), level(False)), 4),
        (run(level(True), level(True, valid=False)), 3),
        (run(level(False, valid=False)), 3),
        (run(level(True), cut_short="interrupted"), 3),
        (run(), 3),
    ],
)
def test_of_a_run(document: Run, code: int) -> None:
    assert exits.of_run(document) == code


@pytest.mark.parametrize(
    ("document", "code"),
    [
        # It ended at what the client can send, and certified what is below.
        (run(level(True), level(True, valid=False), certificate=CERTIFICATE), 0),
        (run(level(True), level(False)), 0),
        (run(level(False)), 4),
        (run(level(True, valid=False)), 3),
        (run(level(True), certificate=CERTIFICATE, cut_short="interrupted"), 3),
    ],
)
def test_of_a_search(document: Run, code: int) -> None:
    assert exits.of_search(document) == code


@pytest.mark.parametrize(
    ("verdict", "b", "code"),
    [
        ("same", run(level()), 0),
        ("better", run(level()), 0),
        ("unclear", run(level()), 0),
        ("worse", run(level()), 5),
        ("worse", run(level(valid=False)), 3),
    ],
)
def test_of_a_comparison(verdict: str, b: Run, code: int) -> None:
    comparison = Comparison.model_validate(
        {
            "command": [],
            "started": datetime.now(UTC),
            "seconds": 1,
            "environment": {},
            "a": run(level()),
            "b": b,
            "order": "AB",
            "minimum_effect": 0.02,
            "ratios": [],
            "verdict": verdict,
        }
    )
    assert exits.of_comparison(comparison) == code


def test_the_table_has_every_code() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert {int(line.split()[0]) for line in exits.TABLE.splitlines()[2:]} == codes
