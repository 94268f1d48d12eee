"""The sidecar: a process beside an app, which knows nothing of it.

``settings`` is the schema of sidecar.yaml, ``translate`` turns it into what the data plane takes. Both run in
``command``, which then becomes the sidecar itself, ``process``: an interpreter that imports neither.
"""
