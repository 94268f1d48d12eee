"""Keeps what is served equal to what the repository holds and the operator asked for."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from infermesh.logs import ecs

from infermesh_servers.model.loader import NO_VERSION, Loader, Outcome, State
from infermesh_servers.model.overrides import Overrides
from infermesh_servers.model.plan import Plan, plan
from infermesh_servers.model.repositories import Repository
from infermesh_servers.model.repository import ModelEntry, is_model_name, scan_model

_log = logging.getLogger(__name__)


class Manager:
    """The models of one repository. Every method may be called from any thread; they wait for one another."""

    def __init__(
        self, repository: Repository, loader: Loader, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """``stop`` is asked between two loads, so that a process told to end need not load the rest first."""
        self._repository = repository
        self._loader = loader
        self._stop = stop
        self._lock = threading.Lock()
        self._seen: dict[str, ModelEntry] = {}
        #: The last outcome of every version that the server lists, by model.
        self._outcomes: dict[str, dict[int, Outcome]] = {}
        self._labels: dict[str, Mapping[str, int]] = {}
        #: What a version that is served was loaded from.
        self._keeps: dict[tuple[str, int], object] = {}
        self._required: set[str] = set()

    def refresh(self) -> list[Outcome]:
        """Scan again and load what is new or changed, then unload what is gone; returns what was attempted.

        Raises ConfigurationError if the repository cannot be read; nothing is unloaded then.
        """
        with self._lock:
            found = self._repository.scan()
            self._required = set(found)
            return self._carry_out(plan(self._seen, found, self._known()), found)

    def load(self, name: str, overrides: Overrides | None = None, *, required: bool = True) -> list[Outcome]:
        """Load one model, or load it again; versions that it no longer serves are unloaded.

        A name that the repository does not hold is an unavailable model, like one that cannot be loaded, if
        it is ``required``, and a KeyError if it is not. One that is not required does not keep the server
        from being ready. Raises ConfigurationError if the repository cannot be read.
        """
        with self._lock:
            if required:
                self._required.add(name)
            entry = self._entry(name, overrides or Overrides(), required=required)
            served = self._known().get(name, set())
            steps = plan({}, {name: entry}, {name: served} if served else {})
            return self._carry_out(steps, {**self._seen, name: entry})

    def unload(self, name: str) -> bool:
        """Unload every version of a model; False if the server does not list it."""
        with self._lock:
            versions = sorted(self._outcomes.get(name, {}))
            rest = {seen: entry for seen, entry in self._seen.items() if seen != name}
            self._carry_out(Plan(unload=tuple((name, version) for version in versions)), rest)
            return bool(versions)

    def fail(self, name: str, version: int, reason: str) -> None:
        """List a version as unavailable that failed for good while it was served; a load may replace it."""
        with self._lock:
            outcome = self._outcomes.get(name, {}).get(version)
            if outcome is not None and outcome.state is State.READY:
                self._outcomes[name][version] = replace(
                    outcome, state=State.UNAVAILABLE, reason=reason, broken=True
                )

    def labels(self) -> dict[str, Mapping[str, int]]:
        """Return the labels of every model that has some, by name."""
        with self._lock:
            return {name: labels for name, labels in self._labels.items() if labels}

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
        """Return what keeps the server from being ready.

        That is the versions of required models that are not served and for which no other stands in, and
        whatever broke down.
        """
        return [
            outcome
            for outcome in self.outcomes()
            if outcome.broken
            or (
                outcome.name in self._required
                and outcome.state is not State.READY
                and not self._stands_in(outcome.name)
            )
        ]

    def _stands_in(self, name: str) -> bool:
        """Return whether a version is kept that its successor should have replaced."""
        chosen = {version.number for version in self._seen[name].versions} if name in self._seen else set()
        listed = self._outcomes.get(name, {}).items()
        return any(number not in chosen for number, outcome in listed if outcome.state is State.READY)

    def _known(self) -> dict[str, set[int]]:
        return {name: set(versions) for name, versions in self._outcomes.items()}

    def _entry(self, name: str, overrides: Overrides, *, required: bool) -> ModelEntry:
        if overrides.files is not None and is_model_name(name):
            directory = overrides.localize()
            return scan_model(directory.path, name, overrides.config, keeps=directory)
        entry = self._repository.find(name, overrides.config)
        if entry is None and not required:
            raise KeyError(name)
        if entry is None:
            problem = f"found no model '{name}', expected a directory {name} in {self._repository}"
            return ModelEntry(name, Path(name), None, None, (), (), problems=(problem,))
        return entry

    def _carry_out(self, steps: Plan, found: Mapping[str, ModelEntry]) -> list[Outcome]:
        """Load, then turn the labels over, then unload: no request finds a gap."""
        replaced = {name for name in self._outcomes if self._has_ready(name)}
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
            if outcome.state is State.READY:
                self._keeps[entry.name, version.number] = entry.keeps
        self._warn(entry for entry, _ in steps.load)
        failed = {outcome.name for outcome in outcomes if outcome.state is not State.READY} & replaced
        changed = {entry.name for entry, _ in steps.load}
        changed |= {name for name, entry in found.items() if self._seen.get(name) != entry}
        # Without what it keeps: that is kept for versions that are served.
        self._seen = {name: replace(entry, keeps=None) for name, entry in found.items()}
        for name in sorted(changed - failed):
            self._label(found[name])
        for name, number in steps.unload:
            if not self._is_needed(name, number):
                self._unload(name, number)
        return outcomes

    def _label(self, entry: ModelEntry) -> None:
        if entry.name in self._outcomes and self._labels.get(entry.name, {}) != entry.labels:
            self._loader.label(entry.name, entry.labels)
            self._labels[entry.name] = entry.labels

    def _is_needed(self, name: str, number: int) -> bool:
        """Return whether a version has to stay because one that should replace it could not be loaded."""
        listed = self._outcomes[name]
        if name not in self._seen or listed[number].state is not State.READY:
            return False
        chosen = (listed.get(version.number) for version in self._seen[name].versions)
        return any(outcome is None or outcome.state is not State.READY for outcome in chosen)

    def _unload(self, name: str, number: int) -> None:
        self._loader.unload(name, number)
        self._keeps.pop((name, number), None)
        del self._outcomes[name][number]
        if not self._outcomes[name]:
            del self._outcomes[name]
            self._labels.pop(name, None)

    def _has_ready(self, name: str) -> bool:
        return any(outcome.state is State.READY for outcome in self._outcomes.get(name, {}).values())

    def _refuse(self, entry: ModelEntry) -> Outcome:
        replaces = self._has_ready(entry.name)
        outcome = self._loader.refuse(entry, NO_VERSION, "\n".join(entry.problems), replaces=replaces)
        if not replaces:
            self._outcomes.setdefault(entry.name, {})[NO_VERSION] = outcome
        return outcome

    @staticmethod
    def _warn(entries: Iterable[ModelEntry]) -> None:
        for warning in dict.fromkeys(warning for entry in entries for warning in entry.warnings):
            _log.warning("%s", warning, extra=ecs("model-warning"))
