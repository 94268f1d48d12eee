"""The request to end: signals, and requests from within."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from infermesh.shutdown import SIGNALS, Shutdown


@pytest.fixture
def shutdown() -> Iterator[Shutdown]:
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with Shutdown() as shutdown:
        yield shutdown
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_signal_ends_the_wait(shutdown: Shutdown) -> None:
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert shutdown.wait() == "SIGTERM"
    assert shutdown.requested
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_so_does_a_request_from_another_thread(shutdown: Shutdown) -> None:
    threading.Timer(0.05, shutdown.request, ("POST /drain",)).start()
    assert shutdown.wait() == "POST /drain"
    assert shutdown.failure is None


def test_what_was_requested_before_is_not_waited_for(shutdown: Shutdown) -> None:
    shutdown.fail("the device is lost")
    shutdown.request("later")
    assert shutdown.wait() == "the device is lost"
    assert shutdown.failure == "the device is lost"


def test_a_wait_may_be_limited(shutdown: Shutdown) -> None:
    before = time.monotonic()
    assert shutdown.wait(0.05) == ""
    assert time.monotonic() - before >= 0.05
    assert shutdown.wait(0) == ""
    shutdown.request("now")
    assert shutdown.wait(0) == "now"


def test_signals_after_the_first_may_be_passed_on(shutdown: Shutdown) -> None:
    passed: list[int] = []
    shutdown.pass_on = passed.append
    os.kill(os.getpid(), signal.SIGINT)
    assert shutdown.wait() == "SIGINT"
    assert passed == []
    os.kill(os.getpid(), signal.SIGTERM)
    assert passed == [signal.SIGTERM]
    assert shutdown.wait() == "SIGINT"
