"""What the data plane has to say, on its way out of the process: its log and its traces.

``native_log`` passes records on to ``logging``; ``trace_config`` says what is traced, ``export`` sends it.
All of that serves whoever has the methods for it: ``infermesh_native.Server`` and ``Proxy``.

``instrument`` is for programs in Python that speak gRPC themselves, and whose traces are to join those.
"""
