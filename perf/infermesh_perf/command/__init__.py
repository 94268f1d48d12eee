"""The `infermesh perf` commands. Modules are imported when a command runs, so that help stays quick."""

from __future__ import annotations

from infermesh_perf.command.app import app

__all__ = ["app"]
