"""Takes a sidecar down so that no accepted request is lost, and the app is not left without it."""

import logging
import signal
import time

from infermesh.errors import InfermeshError
from infermesh.logs import ecs

from infermesh_sidecar.process.app import wait_for_end
from infermesh_sidecar.process.child import Child
from infermesh_sidecar.process.launch import Ending, Launch
from infermesh_sidecar.process.native import Proxy

_log = logging.getLogger("infermesh.sidecar")


def end(proxy: Proxy, launch: Launch, reason: str, child: Child | None = None) -> None:
    """Stop being ready, go on for as long as others need it, finish accepted requests.

    ``reason`` is a signal's name, or why. Raises InfermeshError if requests had to be cut off, unless there
    is a command, whose exit code says more.
    """
    ending = launch.ending
    proxy.set_ready(False)
    _log.info("%s: not ready any more", reason, extra=ecs("sidecar-ending"))
    if reason == signal.SIGTERM.name and ending.drain_delay > 0:
        # Those who choose between endpoints learn of it a while later, and until then still come.
        time.sleep(ending.drain_delay)
    if child is not None:
        _end_child(child, reason, ending)
    elif reason == signal.SIGTERM.name:
        _wait_for_apps(ending)
    _drain(proxy, reason, ending, failing=child is None)


def _end_child(child: Child, reason: str, ending: Ending) -> None:
    if child.wait(0):
        return
    child.pass_on(signal.SIGINT if reason == signal.SIGINT.name else signal.SIGTERM)
    if not child.wait(ending.app_timeout):
        problem = f"the command is still running {ending.app_timeout:g} s later and is killed"
        _log.warning("%s: %s", reason, problem, extra=ecs("command-killed"))
        child.kill()


def _wait_for_apps(ending: Ending) -> None:
    until = time.monotonic() + ending.app_timeout
    for address in ending.apps:
        if not wait_for_end(address, until - time.monotonic()):
            _log.warning(
                "The app at %s still accepts connections after %g s; the sidecar ends all the same",
                address,
                ending.app_timeout,
                extra=ecs("app-remains"),
            )


def _drain(proxy: Proxy, reason: str, ending: Ending, *, failing: bool) -> None:
    _log.info("Finishing accepted requests", extra=ecs("sidecar-draining"))
    if proxy.drain(ending.drain_timeout):
        _log.info("Stopped: every accepted request was answered", extra=ecs("sidecar-stopped"))
        return
    problem = f"requests were still running {ending.drain_timeout:g} s after {reason} and were cut off"
    if failing:
        raise InfermeshError(problem, hint="shutdown.drain_timeout gives them longer")
    _log.warning("%s", problem, extra=ecs("sidecar-cut-off"))
