"""What policies have to keep."""

from infermesh_sidecar.settings.endpoints import Endpoints
from infermesh_sidecar.settings.policies import Concurrency, Policies, RateLimit, Retry
from infermesh_sidecar.settings.rules.place import Broken, below, broken


def policy_rules(policies: Policies, *, captures: bool) -> Broken:
    """Of what is done with requests; ``captures``: whether there is a folder for copies."""
    if policies.retry is not None:
        yield from below(("retry",), _retry(policies.retry, policies))
    if policies.hedge is not None and {"delay", "quantile"} <= policies.hedge.model_fields_set:
        yield broken("hedge", "quantile", text="found beside delay, expected one of the two")
    if policies.rate_limit is not None:
        yield from below(("rate_limit",), _rate_limit(policies.rate_limit))
    if policies.concurrency is not None:
        yield from below(("concurrency",), _concurrency(policies.concurrency))
    if policies.capture is not None and not captures:
        yield broken(
            "capture", text="found without capture at the top, expected its directory for the copies"
        )


def endpoint_rules(endpoints: Endpoints) -> Broken:
    """Of how endpoints are spoken to."""
    breaker, outlier, check = endpoints.breaker, endpoints.outlier, endpoints.health_check
    if breaker is not None and breaker.backoff_base > breaker.backoff_max:
        yield broken("breaker", "backoff_base", text="found more than backoff_max, expected no more")
    if outlier is not None and outlier.base_ejection > outlier.max_ejection:
        yield broken("outlier", "base_ejection", text="found more than max_ejection, expected no more")
    if check is not None and check.path is not None and check.service is not None:
        text = "found beside path, expected one of the two: HTTP is asked, or gRPC's health service"
        yield broken("health_check", "service", text=text)


def _retry(retry: Retry, policies: Policies) -> Broken:
    if retry.backoff_base > retry.backoff_max:
        yield broken("backoff_base", text="found more than backoff_max, expected no more")
    if retry.per_try_timeout is not None and policies.timeout and retry.per_try_timeout > policies.timeout:
        yield broken(
            "per_try_timeout", text="found more than timeout, expected no more: it ends every attempt"
        )


def _rate_limit(limit: RateLimit) -> Broken:
    if limit.key == "header" and limit.header is None:
        yield broken("header", text="is missing, expected the header that is the key")
    if limit.key != "header" and limit.header is not None:
        yield broken("key", text=f"found {limit.key!r} beside header, expected 'header'")


def _concurrency(concurrency: Concurrency) -> Broken:
    if concurrency.limit is not None and {"min", "max"} & concurrency.model_fields_set:
        yield broken("limit", text="found beside min or max, expected them of an adapting limit only")
    elif concurrency.min > concurrency.max:
        yield broken("min", text="found more than max, expected no more")
