"""The ``infermesh sidecar`` commands. What is heavy is imported when one runs, so that help stays quick."""

from infermesh_sidecar.command.app import app

__all__ = ["app"]
