"""A proxy as a process of its own: ``run_proxy.py CONFIG SECONDS`` serves until SIGTERM, then drains.

CONFIG is a file with a serialised ``ProxyConfig``. SECONDS are for what is under way: the exit code is 0 if
all of it has been answered by then, and 1 if not.
"""

import logging
import sys
from pathlib import Path

import infermesh_native
from infermesh.logs import LogFormat, Output, ecs
from infermesh.shutdown import Shutdown
from infermesh.telemetry.native_log import NativeLog

_log = logging.getLogger("proxy")


def main(config: str, grace: str) -> int:
    """Run to the end; returns the exit code."""
    logging.root.setLevel(logging.INFO)
    Output(LogFormat.JSON, {"service.name": "proxy"})
    with Shutdown() as shutdown:
        proxy = infermesh_native.Proxy(Path(config).read_bytes(), version="test")
        with NativeLog(proxy):
            admin = "{}:{}".format(*proxy.listen_admin())
            for name, address in {**proxy.listen(), "admin": admin}.items():
                bound = ecs("proxy-listening", infermesh__listener__name=name, server__address=address)
                _log.info("Listening on %s", address, extra=bound)
            proxy.set_ready(True)
            _log.info("Ready", extra=ecs("proxy-ready"))
            _log.info("Draining: %s", shutdown.wait(), extra=ecs("proxy-draining"))
            return 0 if proxy.drain(float(grace)) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
