"""From options to the target."""

from __future__ import annotations

from infermesh_perf.command import values
from infermesh_perf.command.options import TargetOptions
from infermesh_perf.target.target import Target
from infermesh_perf.target.target import target as make_target
from infermesh_perf.target.tls import TlsFiles


def target_of(options: TargetOptions) -> Target:
    """Where requests go."""
    files = TlsFiles(
        options.cacert, options.cert, options.key, insecure=options.insecure, server_name=options.server_name
    )
    given = values.names_and_texts("--metadata", options.metadata)
    headers = [*options.header, *(f"{name}: {value}" for name, value in given.items())]
    return make_target(options.url, options.protocol.value if options.protocol else "", files, headers)
