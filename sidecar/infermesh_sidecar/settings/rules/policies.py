"""What policies have to keep."""

from infermesh.policies.endpoints import Endpoints
from infermesh.policies.requests import Concurrency, Policies, RateLimit, Retry

from infermesh_sidecar.settings.rules.place import Broken, below, broken


def policy_rules(policies: Policies, *, captures: bool) -> Broken:
    """Of what is done with requests; ``captures``: whether there is a folder for copies."""
    if policies.retry is not None:
        yield from below(("retry",), _retry(policies.retry, policies))
    hedge = policies.hedge
    if hedge is not None and hedge.delay is not None and hedge.quantile is not None:
        yield broken("hedge", "quantile", text="found beside delay, expected one of the two")
    if policies.rate_limit is not None:
        yield from below(("rate_limit",), _rate_limit(policies.rate_limit))
    if policies.concurrency is not None:
        yield from below(("concurrency",), _concurrency(policies.concurrency))
    if policies.capture is not None and not captures:
        yield broken("capture", text="found without capture at the top, expected it, with a directory")


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
    within, each = policies.timeout, retry.per_try_timeout
    if within and each is not None and each > within:
        yield broken("per_try_timeout", text="found more than timeout, expected no more")


def _rate_limit(limit: RateLimit) -> Broken:
    if limit.key == "header" and limit.header is None:
        yield broken("header", text="is missing, expected the header that is the key")
    if limit.key != "header" and limit.header is not None:
        yield broken("key", text=f"found {limit.key!r} beside header, expected 'header'")


def _concurrency(concurrency: Concurrency) -> Broken:
    limit, low, high = concurrency.limit, concurrency.min, concurrency.max
    if limit is not None and not (low is None and high is None):
        yield broken("limit", text="found beside min or max, expected them of an adapting limit only")
    if low is not None and high is not None and low > high:
        yield broken("min", text=f"found {low}, expected {high} at most, as max is")
