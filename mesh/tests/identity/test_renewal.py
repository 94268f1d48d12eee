"""When an identity is renewed, played through by a clock of the test's own."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from infermesh.errors import InfermeshError
from infermesh.identity.authority import LIFE, Authority
from infermesh.identity.renewal import JITTER, SHARE, keep, renewal_time
from infermesh.identity.request import Request
from support.svids import NOW

LOG = "infermesh.identity.renewal"


class World:
    """A clock that waiting moves, an authority that may be away, and what was issued when."""

    def __init__(self, ttl: str, ends: timedelta) -> None:
        self.now = NOW
        self.ends = NOW + ends
        self.request = Request.of("td", "shop", ttl=ttl)
        self.authority = Authority.create("td", NOW)
        self.away: Callable[[datetime], bool] = lambda _: False
        self.tries: list[datetime] = []
        self.waits: list[float] = []
        self.issued = [self.authority.issue(self.request, NOW).certificate]

    def issue(self, now: datetime) -> x509.Certificate:
        self.tries.append(now)
        if self.away(now):
            raise InfermeshError("cannot read ca.key: Permission denied", hint="check the path")
        self.issued.append(self.authority.issue(self.request, now).certificate)
        return self.issued[-1]

    def stopped(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)
        return self.now >= self.ends

    def run(self) -> None:
        keep(self.issued[0], self.issue, clock=lambda: self.now, stopped=self.stopped)


def share_of_life(certificate: x509.Certificate, moment: datetime) -> float:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return (moment - certificate.not_valid_before_utc) / life


def test_at_70_percent_give_or_take_3() -> None:
    authority, request = Authority.create("td", NOW), Request.of("td", "shop")
    shares = [
        share_of_life(certificate, renewal_time(certificate))
        for certificate in (authority.issue(request, NOW).certificate for _ in range(60))
    ]

    assert SHARE - JITTER <= min(shares) < max(shares) <= SHARE + JITTER
    # What was started together does not stay together.
    assert max(shares) - min(shares) > JITTER


def test_everybody_who_looks_comes_to_the_same_time() -> None:
    certificate = Authority.create("td", NOW).certificate

    assert renewal_time(certificate) == renewal_time(certificate)


@pytest.mark.parametrize("ttl", ["10s", "50m", "24h"])
def test_there_is_always_a_valid_one(ttl: str) -> None:
    lives = 20
    span = Request.of("td", "shop", ttl=ttl).ttl
    world = World(ttl, span * lives * 0.7)

    world.run()

    # A short life is backdated by up to a second more, which is much of it.
    assert lives * 0.85 < len(world.issued) - 1 < lives * 1.3
    for before, moment in zip(world.issued, world.tries, strict=False):
        assert share_of_life(before, moment) > SHARE - JITTER - 0.001
        assert moment < before.not_valid_after_utc


def test_the_clock_is_looked_at_again_within_a_minute() -> None:
    """A machine that slept, or whose clock was set, renews when it is due by the clock as it is then."""
    world = World("24h", timedelta(hours=20))

    def jump(seconds: float) -> bool:
        # The first wait takes 18 hours.
        world.now += timedelta(hours=18) if not world.waits else timedelta(seconds=seconds)
        world.waits.append(seconds)
        return world.now >= world.ends

    keep(world.issued[0], world.issue, clock=lambda: world.now, stopped=jump)

    assert max(world.waits) <= 60
    assert world.tries == [NOW + timedelta(hours=18)]


def test_what_cannot_be_issued_is_tried_again_until_it_can(caplog: pytest.LogCaptureFixture) -> None:
    world = World("24h", timedelta(hours=22))
    back = NOW + timedelta(hours=21)
    world.away = lambda now: now < back

    with caplog.at_level(logging.INFO, LOG):
        world.run()

    assert len(world.issued) == 2
    assert world.tries[-1] - back < timedelta(seconds=31)
    gaps = {
        (after - before).total_seconds() for before, after in zip(world.tries, world.tries[1:], strict=False)
    }
    assert gaps == {30}
    first, last = caplog.records[0], caplog.records[-1]
    assert first.levelno == logging.WARNING
    assert "Cannot issue anew: cannot read ca.key: Permission denied (check the path)" in first.getMessage()
    assert "The certificate before it lasts another" in first.getMessage()
    assert last.levelno == logging.INFO
    assert last.getMessage().startswith("Issued anew, until 2030-01-02 21:00")


def test_it_goes_on_when_the_last_one_is_over(caplog: pytest.LogCaptureFixture) -> None:
    world = World("10m", timedelta(minutes=20))
    world.away = lambda now: now < NOW + timedelta(minutes=15)

    with caplog.at_level(logging.INFO, LOG):
        world.run()

    assert len(world.issued) == 2
    assert any("has been over for 1 min" in record.getMessage() for record in caplog.records)


def test_a_short_life_is_tried_often_enough() -> None:
    world = World("10s", timedelta(seconds=11))
    world.away = lambda _: True

    world.run()

    in_time = [moment for moment in world.tries if moment < world.issued[0].not_valid_after_utc]
    assert len(in_time) >= 4


def test_the_end_of_the_authority_is_no_end_of_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    world = World("24h", timedelta(0))
    start = NOW + LIFE - timedelta(hours=30)
    world.issued = [world.authority.issue(world.request, start).certificate]
    world.now, world.ends = start, start + timedelta(hours=18)

    with caplog.at_level(logging.INFO, LOG):
        world.run()

    assert len(world.issued) == 1
    assert "its authority ends before that" in caplog.records[0].getMessage()


def test_other_errors_are_not_hidden() -> None:
    world = World("24h", timedelta(days=2))

    def broken(_: datetime) -> x509.Certificate:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        keep(world.issued[0], broken, clock=lambda: world.now, stopped=world.stopped)
