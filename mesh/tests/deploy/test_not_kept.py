from infermesh.deploy.kubernetes.flavours.not_kept import not_kept
from infermesh.deploy.kubernetes.objects import NOT_KEPT
from infermesh.policies.requests import Policies

UNKNOWN = {"retry": {"budget_ratio", "backoff_max"}, "hedge": set[str]()}


def said(**policies: object) -> str | None:
    return not_kept(Policies.model_validate(policies), UNKNOWN).get(NOT_KEPT)


def test_what_is_asked_for_is_named() -> None:
    assert said(retry={"budget_ratio": 0.1}) == "retry.budget_ratio"
    assert said(hedge=True) == "hedge"
    assert said(retry={"codes": ["UNAVAILABLE", "ABORTED"]}) == "retry.codes ABORTED"


def test_what_nobody_asked_for_is_not_missed() -> None:
    assert said() is None
    assert said(retry=True) is None
    assert said(retry=False, hedge=False) is None
    assert said(retry={"max_attempts": 2}) is None


def test_codes_of_no_retry_are_not_missed() -> None:
    assert said(retry={"max_attempts": 1, "codes": ["ABORTED"]}) is None
