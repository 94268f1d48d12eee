"""The servers under test, by the name that the command line gives them."""

from infermesh_perf.peers.base import Peer
from infermesh_perf.peers.infermesh import Infermesh, InfermeshThroughPython
from infermesh_perf.peers.mlserver import MLServer
from infermesh_perf.peers.triton import Triton, TritonIdentity

PEERS: dict[str, type[Triton] | type[MLServer] | type[Infermesh]] = {
    peer.name: peer for peer in (Triton, MLServer, Infermesh, InfermeshThroughPython)
}

#: Who takes part where nobody chooses.
DEFAULT_PEERS = (Triton.name, MLServer.name, Infermesh.name)

__all__ = [
    "DEFAULT_PEERS",
    "PEERS",
    "Infermesh",
    "InfermeshThroughPython",
    "MLServer",
    "Peer",
    "Triton",
    "TritonIdentity",
]
