"""Servers built on the infermesh data plane."""
