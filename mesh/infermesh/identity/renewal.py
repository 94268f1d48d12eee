"""When an identity is renewed, and the loop that does it."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography import x509

from infermesh.errors import InfermeshError
from infermesh.identity.times import describe, point
from infermesh.logs import ecs

_log = logging.getLogger(__name__)

#: Of its life, after which an identity is renewed.
SHARE = 0.7
#: Earlier or later by so much at most, so that what was started together does not renew together for good.
JITTER = 0.03

#: A clock may be set, and a machine may sleep: the time is looked at again after this.
_LONGEST_WAIT = timedelta(minutes=1)

#: Between two tries, at most; less in a short life, so that there are several.
_RETRY = timedelta(seconds=30)


def renewal_time(certificate: x509.Certificate) -> datetime:
    """When a certificate is to be renewed: at 70 % of its life, give or take 3 %.

    The serial number is random, so it serves as the dice: everybody who looks comes to the same time.
    """
    dice = certificate.serial_number % 1009 / 1008
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begins + (ends - begins) * (SHARE + JITTER * (2 * dice - 1))


def keep(
    current: x509.Certificate,
    issue: Callable[[datetime], x509.Certificate],
    *,
    clock: Callable[[], datetime],
    stopped: Callable[[float], bool],
) -> None:
    """Issue anew at every renewal time, until ``stopped``.

    ``issue`` puts the next certificate into the place of the current one and returns it; if it raises
    InfermeshError, the current one stays and it is asked again soon. ``clock`` is the time by which
    certificates are valid. ``stopped`` waits for so many seconds, or returns True when the loop is to end.
    """
    due = renewal_time(current)
    while not stopped(_seconds_until(due, clock())):
        now = clock()
        if now < due:
            continue
        try:
            current = issue(now)
        except InfermeshError as error:
            life = current.not_valid_after_utc - current.not_valid_before_utc
            due = now + min(_RETRY, life / 20)
            _warn(error, current.not_valid_after_utc, now)
        else:
            due = renewal_time(current)
            _log.info(
                "Issued anew, until %s; the next one in %s",
                point(current.not_valid_after_utc),
                describe(due - now),
                extra=ecs("identity-renewed", tls__server__not_after=current.not_valid_after_utc.isoformat()),
            )


def _seconds_until(due: datetime, now: datetime) -> float:
    return max(min(due - now, _LONGEST_WAIT).total_seconds(), 0.0)


def _warn(error: InfermeshError, ends: datetime, now: datetime) -> None:
    left = (
        f"lasts another {describe(ends - now)}" if ends > now else f"has been over for {describe(now - ends)}"
    )
    hint = f" ({error.hint})" if error.hint else ""
    _log.warning(
        "Cannot issue anew: %s%s. The certificate before it %s",
        error,
        hint,
        left,
        extra=ecs("identity-renewal-failed", error__message=str(error)),
    )
