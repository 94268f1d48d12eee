"""What a sidecar is to do, as the command hands it to the process that does it."""

import os
import pickle
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

_MODULE = "infermesh_sidecar.process.main"


@dataclass(frozen=True)
class App:
    """An app that is waited for. Times are in seconds."""

    address: str
    #: Empty: a connection is enough.
    path: str
    timeout: float


@dataclass(frozen=True)
class Traces:
    """What is recorded, and the collector's URL where the environment does not name it."""

    sample_rate: float
    queue: int
    batch: int
    delay: float
    url: str | None


@dataclass(frozen=True)
class Captures:
    """Where copies of requests are written, in files of which size and age."""

    directory: Path
    max_file_bytes: int
    max_file_age: float
    max_total_bytes: int


@dataclass(frozen=True)
class Ending:
    """What happens when it is told to end. Times are in seconds."""

    drain_delay: float
    drain_timeout: float
    #: Of apps whose end is waited for.
    apps: Sequence[str]
    app_timeout: float


@dataclass(frozen=True)
class Launch:
    """Everything, checked."""

    #: What an error names: the file, or the command line.
    source: str
    #: A serialised ``infermesh.proxy.v1.ProxyConfig``.
    config: bytes
    version: str
    #: Attributes of this process, as traces and the log have them.
    resource: Mapping[str, str]
    log_format: str
    log_requests: bool
    #: HOST:PORT; None: nowhere.
    admin: str | None
    ending: Ending
    #: The services that the app may call.
    calls: Sequence[str] = ()
    #: What the log is to say at the beginning.
    warnings: Sequence[str] = ()
    apps: Sequence[App] = ()
    traces: Traces | None = None
    captures: Captures | None = None
    #: Cluster to the file that names its endpoints.
    endpoint_files: Mapping[str, Path] = field(default_factory=dict)
    #: ``module:function`` of enrichments.
    functions: Sequence[str] = ()
    #: Where their modules are looked for first.
    folder: Path = Path()
    #: What is run with the sidecar, and ends it.
    command: Sequence[str] = ()

    def become(self) -> NoReturn:
        """Replace this process by one that does it, and that has the same id.

        An interpreter that has read a configuration holds a third of what a sidecar may take.
        """
        descriptor = _anonymous_file()
        os.write(descriptor, pickle.dumps(self))
        os.set_inheritable(descriptor, True)
        sys.stdout.flush()
        sys.stderr.flush()
        # Not from a folder that happens to be the current one.
        os.execv(sys.executable, [sys.executable, "-P", "-m", _MODULE, str(descriptor)])

    @classmethod
    def receive(cls, descriptor: int) -> "Launch":
        """Read what ``become`` left, which nobody else can have written."""
        with open(descriptor, "rb") as file:
            file.seek(0)
            launch = pickle.load(file)
        if not isinstance(launch, cls):
            raise TypeError(f"found {type(launch).__name__}, expected Launch")
        return launch


def _anonymous_file() -> int:
    """A file without a name: in memory on Linux, else one that is deleted already."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("infermesh-sidecar")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
