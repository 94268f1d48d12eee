"""Keeps what is served equal to what the repository holds and the operator asked for."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from infermesh.errors import ConfigurationError
from infermesh.logs import ecs

from infermesh_servers.model.loader import NO_VERSION, Loader, Outcome, State
from infermesh_servers.model.plan import Plan, plan
from infermesh_servers.model.repository import ModelEntry, scan, scan_model

_log = logging.getLogger(__name__)


class Manager:
    """The models of one repository. Every method may be called from any thread; they wait for one another."""

    def __init__(self, repository: Path, loader: Loader, stop: Callable[[], bool] = lambda: False) -> None:
        """``stop`` is asked between two loads, so that a process told to end need not load the rest first."""
        self._repository = repository
        self._loader = loader
        self._stop = stop
        self._lock = threading.Lock()
        self._seen: dict[str, ModelEntry] = {}
        #: The last outcome of every version that the server lists, by model.
        self._outcomes: dict[str, dict[int, Outcome]] = {}
        self._required: set[str] = set()

    def refresh(self) -> list[Outcome]:
        """Scan again and load what is new or changed, then unload what is gone; returns what was attempted.

        Raises ConfigurationError if the repository cannot be read; nothing is unloaded then.
        """
        with self._lock:
            found = scan(self._repository)
            self._required = set(found)
            outcomes = self._carry_out(plan(self._seen, found, self._known()))
            self._seen = found
            return outcomes

    def load(self, name: str, *, required: bool = True) -> list[Outcome]:
        """Load one model, or load it again; versions that it no longer serves are unloaded.

        A name that the repository does not hold is an unavailable model, like one that cannot be loaded. One
        that is not ``required`` does not keep the server from being ready.
        """
        with self._lock:
            if required:
                self._required.add(name)
            entry = self._entry(name)
            known = self._known()
            served = known.get(name, set())
            outcomes = self._carry_out(plan({}, {name: entry}, {name: served} if served else {}))
            self._seen[name] = entry
            return outcomes

    def holds(self, name: str) -> bool:
        """Return whether the repository has a directory for a model of this name."""
        # A name with a separator in it would reach outside the repository.
        return name not in ("", ".", "..") and Path(name).name == name and (self._repository / name).is_dir()

    def unload(self, name: str) -> bool:
        """Unload every version of a model; False if the server does not list it."""
        with self._lock:
            versions = sorted(self._outcomes.get(name, {}))
            self._carry_out(Plan(unload=tuple((name, version) for version in versions)))
            self._seen.pop(name, None)
            return bool(versions)

    def fail(self, name: str, version: int, reason: str) -> None:
        """List a version as unavailable that failed for good while it was served; a load may replace it."""
        with self._lock:
            outcome = self._outcomes.get(name, {}).get(version)
            if outcome is not None and outcome.state is State.READY:
                self._outcomes[name][version] = replace(
                    outcome, state=State.UNAVAILABLE, reason=reason, broken=True
                )

    def outcomes(self) -> list[Outcome]:
        """Return what became of every version that the server lists, by name and version."""
        with self._lock:
            return [
                self._outcomes[name][version]
                for name in sorted(self._outcomes)
                for version in sorted(self._outcomes[name])
            ]

    def all_ready(self) -> bool:
        """Return whether every version of every required model is served, and nothing has broken down."""
        return not self.missing()

    def missing(self) -> list[Outcome]:
        """Return the versions of required models that are not served, and all that broke down."""
        return [
            outcome
            for outcome in self.outcomes()
            if outcome.broken or (outcome.name in self._required and outcome.state is not State.READY)
        ]

    def _known(self) -> dict[str, set[int]]:
        return {name: set(versions) for name, versions in self._outcomes.items()}

    def _entry(self, name: str) -> ModelEntry:
        directory = self._repository / name
        if not self.holds(name):
            problem = f"found no model '{name}', expected a directory {name} in {self._repository}"
            return ModelEntry(name, directory, None, None, (), (), problems=(problem,))
        return scan_model(directory)

    def _carry_out(self, steps: Plan) -> list[Outcome]:
        outcomes = [self._refuse(entry) for entry in steps.broken]
        for entry, version in steps.load:
            if self._stop():
                return outcomes
            before = self._outcomes.get(entry.name, {}).get(version.number)
            replaces = before is not None and before.state is State.READY
            outcome = self._loader.load(entry, version, replaces=replaces)
            outcomes.append(outcome)
            if outcome.state is State.READY or not replaces:
                self._outcomes.setdefault(entry.name, {})[version.number] = outcome
        self._warn(entry for entry, _ in steps.load)
        for name, number in steps.unload:
            self._loader.unload(name, number)
            self._outcomes[name].pop(number, None)
            if not self._outcomes[name]:
                del self._outcomes[name]
        return outcomes

    def _refuse(self, entry: ModelEntry) -> Outcome:
        served = self._outcomes.get(entry.name, {})
        replaces = any(outcome.state is State.READY for outcome in served.values())
        outcome = self._loader.refuse(entry, NO_VERSION, "\n".join(entry.problems), replaces=replaces)
        if not replaces:
            self._outcomes.setdefault(entry.name, {})[NO_VERSION] = outcome
        return outcome

    @staticmethod
    def _warn(entries: Iterable[ModelEntry]) -> None:
        for warning in dict.fromkeys(warning for entry in entries for warning in entry.warnings):
            _log.warning("%s", warning, extra=ecs("model-warning"))


class Poller:
    """Refreshes a manager every ``seconds`` in a thread of its own, until it is stopped.

    ``changed`` is called in that thread after every refresh that attempted something or found something gone.
    """

    def __init__(self, manager: Manager, seconds: float, changed: Callable[[], None]) -> None:
        self._manager = manager
        self._seconds = seconds
        self._changed = changed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="repository-poll", daemon=True)

    def start(self) -> None:
        """Start polling; the first refresh is one interval away."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for a refresh that is under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self._manager.refresh()
            except ConfigurationError as error:
                # A volume that is away for a moment must not take its models with it.
                _log.warning("%s; what is loaded stays in service", error, extra=ecs("repository-unreadable"))
                continue
            self._changed()
