"""Measures infermesh beside its peers: same models, bodies, client and machine, in one interleaved run."""
