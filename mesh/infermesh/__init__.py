"""infermesh: a model server, sidecars, a gateway and workers, described once."""
