"""Measures infermesh beside its peers: the same models, bodies, client and machine, in one interleaved run."""
