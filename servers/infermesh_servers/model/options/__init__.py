"""What ``infermesh serve`` can be told, checked as a whole before anything starts.

Each module holds the options of one concern: their names, types, defaults and help, written once. The command
line is made from them (``infermesh_servers.model.command``). Nothing heavy is imported here.
"""

from dataclasses import dataclass

from infermesh_servers.model.options.cache import CacheOptions
from infermesh_servers.model.options.connection import ConnectionOptions
from infermesh_servers.model.options.limits import LimitOptions
from infermesh_servers.model.options.listen import ListenOptions
from infermesh_servers.model.options.log import LogOptions
from infermesh_servers.model.options.process import ProcessOptions
from infermesh_servers.model.options.repository import EVERY_MODEL, ModelControlMode, RepositoryOptions
from infermesh_servers.model.options.shared_memory import SharedMemoryOptions
from infermesh_servers.model.options.tls import TlsOptions
from infermesh_servers.model.options.tracing import TraceOptions

__all__ = ["EVERY_MODEL", "ModelControlMode", "ServeOptions"]


@dataclass(frozen=True, kw_only=True)
class ServeOptions(
    ProcessOptions,
    TraceOptions,
    LogOptions,
    SharedMemoryOptions,
    CacheOptions,
    LimitOptions,
    ConnectionOptions,
    TlsOptions,
    ListenOptions,
    RepositoryOptions,
):
    """The command line of ``infermesh serve``; see its help for each field."""

    def __post_init__(self) -> None:
        """Raise ConfigurationError for options that do not fit together."""
        RepositoryOptions.check(self)
        ListenOptions.check(self)
        TlsOptions.check(self)
        TraceOptions.check(self)
        CacheOptions.check(self)
