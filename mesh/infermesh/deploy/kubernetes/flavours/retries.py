"""Retries as the proxies of a mesh do them: Envoy and Linkerd know the same five of gRPC's codes."""

from collections.abc import Sequence

from infermesh.policies.requests import GrpcCode, Retry

KNOWN: frozenset[GrpcCode] = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
)


def retried(retry: Retry | None) -> Sequence[str]:
    """The codes of a policy that are known, as both write them (`deadline-exceeded`); none: no retries."""
    if retry is None or retry.max_attempts == 1:
        return []
    return [code.lower().replace("_", "-") for code in retry.codes if code in KNOWN]
