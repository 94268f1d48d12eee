"""The sidecar beside Envoy: what either adds to a request, what it costs, and how it starts."""
