"""The schema of sidecar.yaml: one module for each concern, ``sidecar`` is the whole.

``read`` turns a file into it, ``options`` a command line; ``rules`` are what its parts have to keep together.
"""
