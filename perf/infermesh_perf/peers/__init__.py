"""The servers under test and what is measured with them, by the names that the command line gives them."""

from infermesh_perf.peers.base import Front, Installable, Peer, Proxy
from infermesh_perf.peers.envoy import Envoy
from infermesh_perf.peers.infermesh import Infermesh, InfermeshThroughPython
from infermesh_perf.peers.mlserver import MLServer
from infermesh_perf.peers.perf_analyzer import PerfAnalyzer
from infermesh_perf.peers.sidecar import Sidecar
from infermesh_perf.peers.triton import Triton, TritonIdentity

PEERS: dict[str, type[Triton] | type[MLServer] | type[Infermesh]] = {
    peer.name: peer for peer in (Triton, MLServer, Infermesh, InfermeshThroughPython)
}

#: What is no server: a proxy and a client.
COMPANIONS: dict[str, type[Envoy] | type[PerfAnalyzer]] = {it.name: it for it in (Envoy, PerfAnalyzer)}

#: Who takes part where nobody chooses.
DEFAULT_PEERS = (Triton.name, MLServer.name, Infermesh.name)

__all__ = [
    "COMPANIONS",
    "DEFAULT_PEERS",
    "PEERS",
    "Envoy",
    "Front",
    "Infermesh",
    "InfermeshThroughPython",
    "Installable",
    "MLServer",
    "Peer",
    "PerfAnalyzer",
    "Proxy",
    "Sidecar",
    "Triton",
    "TritonIdentity",
]
