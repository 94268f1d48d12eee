"""From options to the machines that send in place of this one."""

from __future__ import annotations

from infermesh_perf.command.options import MemoryKind, SendingOptions
from infermesh_perf.errors import SetupError
from infermesh_perf.load import worker_address
from infermesh_perf.load.worker_tls import WorkerTls
from infermesh_perf.load.workers import Workers


def workers_of(sending: SendingOptions, memory: MemoryKind) -> Workers | None:
    """Those that send in place of this process."""
    tls = WorkerTls.read(sending.worker_cacert, sending.worker_cert, sending.worker_key, "--worker-")
    if not sending.workers:
        if tls is not None:
            raise SetupError("--worker-cacert and the like are without effect, expected --worker with them")
        return None
    if memory is not MemoryKind.NONE:
        raise SetupError("--shared-memory is on this machine, and --worker on others: expected one of them")
    addresses = [worker_address.parse("--worker", text) for text in sending.workers]
    return Workers(addresses, tls)
