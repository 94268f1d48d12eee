"""The model server: a model repository on one side, the native data plane on the other."""

from infermesh_servers.model.fatal import FatalError

__all__ = ["FatalError"]
