"""Waiting for SIGTERM and SIGINT."""

import os
import signal
import threading
import time

import pytest
from infermesh.identity.interruption import Interruption

FOREVER = 60.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_wait_ends_it(number: signal.Signals) -> None:
    with Interruption() as interruption:
        assert not interruption.wait(0)
        os.kill(os.getpid(), number)
        begun = time.monotonic()

        assert interruption.wait(FOREVER)
        # Whoever was asked once stays asked.
        assert interruption.wait(FOREVER)
        assert time.monotonic() - begun < FOREVER / 2


def test_a_signal_during_the_wait_ends_it() -> None:
    with Interruption() as interruption:
        waker = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
        waker.start()
        begun = time.monotonic()

        assert interruption.wait(FOREVER)
        assert time.monotonic() - begun < FOREVER / 2
        waker.join()


def test_signals_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    with Interruption():
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] != before

    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert signal.set_wakeup_fd(-1) == -1
