"""Retries as the proxies of a mesh do them: Envoy and Linkerd know the same five of gRPC's codes."""

from collections.abc import Sequence

from infermesh.policies.requests import GrpcCode, Retry

KNOWN: frozenset[GrpcCode] = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
)

#: What Envoy is to try again whatever the codes: a Pod was not reached, was lost, did not answer within the
#: time of one attempt (which is a reset to Envoy), or has not begun with the request.
LOST = ("connect-failure", "reset", "refused-stream")

#: Of these, what nobody has begun with.
UNSENT = ("connect-failure", "refused-stream")


def retried(retry: Retry | None) -> Sequence[str]:
    """The codes of a policy that are known, as both write them (`deadline-exceeded`); none: no retries."""
    if retry is None or retry.max_attempts == 1:
        return []
    return [code.lower().replace("_", "-") for code in retry.codes if code in KNOWN]
