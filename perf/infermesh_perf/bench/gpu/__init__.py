"""Checks and measures the server on an NVIDIA GPU: `python -m infermesh_perf.bench.gpu`."""
