"""The policies that the tests of faults rely on: those of a sidecar by default, with shorter times."""

from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb

from support.proxy import nanos

#: A try that takes longer is given up and made elsewhere. Long for an upstream that has something to do.
PER_TRY_SECONDS = 0.5

#: Retries as a share of requests, and in any case: within ten seconds.
RATIO, RESERVE, WINDOW_SECONDS = 0.2, 2.0, 10.0


def patient_route() -> pb.Route:
    """Tries again, for five seconds."""
    retry = pb.Retry(
        per_try_timeout_ns=nanos(PER_TRY_SECONDS), budget_ratio=RATIO, budget_reserve=RESERVE, max_attempts=3
    )
    return pb.Route(timeout_ns=nanos(5.0), retry=retry)


def careful_cluster() -> pb.Cluster:
    """Leaves alone what fails, and looks soon whether it is back."""
    return pb.Cluster(
        balance=pb.Balance(decay_ns=nanos(1.0)),
        breaker=pb.Breaker(backoff_base_ns=nanos(0.3), backoff_max_ns=nanos(1.0)),
        pool=pb.Pool(connect_timeout_ns=nanos(0.5)),
    )


def allowed_retries(requests: int) -> float:
    """How many attempts may be made beyond the first of so many requests."""
    return RATIO * requests + RESERVE * WINDOW_SECONDS
