"""A shop that knows nothing of models, and a fraud model that a sidecar asks on its behalf."""
