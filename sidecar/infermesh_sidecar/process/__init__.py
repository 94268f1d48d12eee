"""The sidecar's own process: the data plane, and what Python does beside it.

It is kept small, since there is one beside every app: it imports no command line, no schema and no protobuf.
What it does was decided in ``infermesh_sidecar.command``, which hands over a ``launch`` and becomes it.

``main`` is its life: ``begin`` sets everything up, ``end`` takes it down in order. ``app`` looks at the app,
``child`` is a command that is run with the sidecar, ``discovery`` follows files of endpoints, ``picture``
shows people what the sidecar sees; what goes on and on is a step of a ``worker``. Functions of people and
copies of requests have threads of their own: ``infermesh_sidecar.hooks`` and ``infermesh_sidecar.capturing``.
"""
