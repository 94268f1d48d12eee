"""Clients' own loading and unloading, through the repository RPCs, in terms of the manager."""

from collections.abc import Callable, Mapping

from infermesh_servers.model.loader import State
from infermesh_servers.model.manager import Manager
from infermesh_servers.model.overrides import read_overrides


class RepositoryControl:
    """What the data plane calls, in a thread of its own, for RepositoryModelLoad and RepositoryModelUnload.

    KeyError is answered as NOT_FOUND, ValueError as INVALID_ARGUMENT, any other error as INTERNAL.
    """

    def __init__(self, manager: Manager, changed: Callable[[], None]) -> None:
        """``changed`` is called after every load and unload, whatever came of it."""
        self._manager = manager
        self._changed = changed

    def load(self, name: str, parameters: Mapping[str, object]) -> None:
        """Load one model, or load it again, with what the parameters put in place of its directory.

        Raises KeyError for a name that the repository does not hold, ValueError for parameters, RuntimeError
        with the reasons if a version could not be loaded; what was served before is served then.
        """
        overrides = read_overrides(name, parameters)
        # Not required: a client that asks for a broken model must not take the whole server out of service.
        try:
            outcomes = self._manager.load(name, overrides, required=False)
        except LookupError as error:
            raise KeyError(f"failed to load '{name}': found no such model in the repository") from error
        self._changed()
        # An ensemble that calls the model and no longer can is not what was asked for; the index tells of it.
        reasons = [
            outcome.reason
            for outcome in outcomes
            if outcome.name == name and outcome.state is not State.READY
        ]
        if reasons:
            raise RuntimeError(f"failed to load '{name}': " + "; ".join(reasons))

    def unload(self, name: str, dependents: bool) -> None:
        """Unload every version of a model; raises KeyError if the server lists none.

        With ``dependents`` the members that were loaded along with an ensemble are unloaded, too.
        """
        if not self._manager.unload(name, dependents=dependents):
            raise KeyError(f"failed to unload '{name}': it is not loaded")
        self._changed()
