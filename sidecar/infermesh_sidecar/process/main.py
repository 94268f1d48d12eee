"""The life of a sidecar, from the first line of its log to its exit."""

import logging
import sys
from contextlib import ExitStack
from typing import NoReturn

from infermesh.exits import exit_after
from infermesh.logs import LogFormat, Output
from infermesh.shutdown import Shutdown
from infermesh.telemetry.native_log import NativeLog

from infermesh_sidecar.process.begin import begin, create, wait_for_apps
from infermesh_sidecar.process.child import Child
from infermesh_sidecar.process.end import end
from infermesh_sidecar.process.launch import Launch
from infermesh_sidecar.process.native import Proxy

_log = logging.getLogger("infermesh.sidecar")


def main() -> NoReturn:
    """``python -m infermesh_sidecar.process.main DESCRIPTOR``, as ``Launch.become`` calls it."""
    launch = Launch.receive(int(sys.argv[1]))
    exit_after(lambda: run(launch))


def run(launch: Launch) -> int:
    """Serve until it is told to end; returns the exit code of the command that was run with it, else 0.

    Raises ConfigurationError for what only shows here, and InfermeshError if an address cannot be bound, if
    the app does not come, or if the drain runs out of time.
    """
    with Shutdown() as shutdown:
        service = {name: launch.resource[name] for name in ("service.name", "service.version")}
        Output(LogFormat(launch.log_format), service)
        proxy = create(launch)
        with NativeLog(proxy), ExitStack() as stack:
            begin(proxy, launch, shutdown, stack)
            if launch.command:
                return _run_with(launch, proxy, shutdown)
            return _run(launch, proxy, shutdown)


def _run(launch: Launch, proxy: Proxy, shutdown: Shutdown) -> int:
    wait_for_apps(proxy, launch, shutdown)
    end(proxy, launch, shutdown.wait())
    return 0


def _run_with(launch: Launch, proxy: Proxy, shutdown: Shutdown) -> int:
    """With a command, which is started before the app is waited for: it may be the app."""
    child = Child(launch.command, lambda: shutdown.request("the command ended"))
    shutdown.pass_on = child.pass_on
    try:
        wait_for_apps(proxy, launch, shutdown)
        end(proxy, launch, shutdown.wait(), child)
    finally:
        child.kill()
    return child.code


if __name__ == "__main__":
    main()
