"""The servers under test, by the name that the command line gives them."""

from infermesh_perf.peers.base import Peer
from infermesh_perf.peers.infermesh import Infermesh
from infermesh_perf.peers.mlserver import MLServer
from infermesh_perf.peers.triton import Triton

PEERS: dict[str, type[Triton] | type[MLServer] | type[Infermesh]] = {
    peer.name: peer for peer in (Triton, MLServer, Infermesh)
}

__all__ = ["PEERS", "Infermesh", "MLServer", "Peer", "Triton"]
