"""Benchmarks: infermesh beside its peers, one module for each question."""
