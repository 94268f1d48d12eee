"""From sidecar.yaml to what the data plane takes, an ``infermesh.proxy.v1.ProxyConfig``.

``config`` is the whole, ``listeners``, ``clusters``, ``policies`` and ``enrichments`` are its parts.
"""
