"""The ``infermesh identity`` commands. What is heavy is imported when one runs, so that help stays quick."""

from infermesh.identity.command.app import app

__all__ = ["app"]
