"""Keeps what is served equal to what the repository holds and the operator asked for."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

from infermesh.logs import ecs

from infermesh_servers.model.ensembles import all_members, circle, member_names, unmet
from infermesh_servers.model.loader import NO_VERSION, Loader, Outcome, State
from infermesh_servers.model.overrides import Overrides
from infermesh_servers.model.plan import Plan, compose, plan
from infermesh_servers.model.repositories import Repository
from infermesh_servers.model.repository import ModelEntry, ModelVersion, is_model_name, scan_model

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
        #: Models that were loaded because an ensemble calls them, and for no other reason.
        self._implied: set[str] = set()

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

        The members of an ensemble that are not served yet are loaded before it. A name that the repository
        does not hold is an unavailable model, like one that cannot be loaded, if it is ``required``, and a
        KeyError if it is not. One that is not required does not keep the server from being ready. Raises
        ConfigurationError if the repository cannot be read.
        """
        with self._lock:
            if required:
                self._required.add(name)
            entry = self._entry(name, overrides or Overrides(), required=required)
            members = all_members(entry, self._repository.find)
            new = {member: found for member, found in members.items() if not self._has_ready(member)}
            self._implied = (self._implied | new.keys()) - {name}
            new[name] = entry
            known = {model: set(self._outcomes[model]) for model in new if model in self._outcomes}
            return self._carry_out(plan({}, new, known), {**self._seen, **new})

    def unload(self, name: str, *, dependents: bool = False) -> bool:
        """Unload every version of a model; False if the server does not list it.

        With ``dependents`` the members that were loaded along with an ensemble go with it, unless another
        ensemble calls them, too.
        """
        with self._lock:
            names = [name, *(self._with(name) if dependents else ())]
            rest = {seen: entry for seen, entry in self._seen.items() if seen not in names}
            listed = [(gone, version) for gone in names for version in sorted(self._outcomes.get(gone, {}))]
            self._carry_out(Plan(unload=tuple(listed)), rest)
            self._implied.difference_update(names)
            return any(gone == name for gone, _ in listed)

    def _with(self, name: str) -> list[str]:
        """Return the models that came along with an ensemble and serve nothing else, outermost first."""
        going = [name]
        for ensemble in going:
            entry = self._seen.get(ensemble)
            for member in member_names(entry.config) if entry is not None else ():
                others = (seen for seen in self._seen.values() if seen.name not in going)
                needed = any(member in member_names(other.config) for other in others)
                if member in self._implied and member not in going and not needed:
                    going.append(member)
        return going[1:]

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
        steps = compose(steps, found)
        concerned = {entry.name for entry, _ in (*steps.load, *steps.compose)}
        concerned |= {entry.name for entry in steps.broken}
        replaced = {name for name in concerned if self._has_ready(name)}
        outcomes = [self._refuse(entry) for entry in steps.broken]
        for entry, version in steps.load:
            if self._stop():
                return outcomes
            outcomes.append(self._load(entry, version, keeps=True))
        going = {step for step in steps.unload if not self._is_needed(*step, found)}
        for entry, version in steps.compose:
            if self._stop():
                return outcomes
            keeps = entry.name not in steps.unsettled
            outcomes.append(self._compose(entry, version, found, going, keeps=keeps))
        loaded = [entry for entry, _ in (*steps.load, *steps.compose)]
        self._warn(loaded)
        failed = {outcome.name for outcome in outcomes if outcome.state is not State.READY} & replaced
        changed = {entry.name for entry in loaded}
        # Most entries are the objects of the last time, which is quicker to see than that they are equal.
        seen = ((name, entry, self._seen.get(name)) for name, entry in found.items())
        changed |= {name for name, entry, before in seen if before is not entry and before != entry}
        # Without what it keeps: that is kept for versions that are served.
        self._seen = {
            name: entry if entry.keeps is None else replace(entry, keeps=None)
            for name, entry in found.items()
        }
        for name in sorted(changed - failed):
            self._label(found[name])
        for name, number in steps.unload:
            if not self._is_needed(name, number, found):
                self._unload(name, number)
        return outcomes

    def _load(self, entry: ModelEntry, version: ModelVersion, *, keeps: bool) -> Outcome:
        """Load one version; if that fails and ``keeps``, what was loaded of it before stays in service."""
        replaces = keeps and self._is_ready(entry.name, version.number)
        return self._note(entry, self._loader.load(entry, version, replaces=replaces), replaces=replaces)

    def _compose(
        self,
        entry: ModelEntry,
        version: ModelVersion,
        found: Mapping[str, ModelEntry],
        going: AbstractSet[tuple[str, int]],
        *,
        keeps: bool,
    ) -> Outcome:
        """Load one version of an ensemble, if its members are and stay there."""
        ready = {
            name: {
                number for number in listed if self._is_ready(name, number) and (name, number) not in going
            }
            for name, listed in self._outcomes.items()
        }
        reason = unmet(entry.config, ready) if entry.config is not None else ""
        if way := circle(entry.name, found):
            reason = f"the ensemble calls itself: {way}"
        if not reason:
            return self._load(entry, version, keeps=keeps)
        replaces = keeps and self._is_ready(entry.name, version.number)
        outcome = self._loader.refuse(entry, version.number, reason, replaces=replaces)
        return self._note(entry, outcome, replaces=replaces)

    def _note(self, entry: ModelEntry, outcome: Outcome, *, replaces: bool) -> Outcome:
        if outcome.state is State.READY or not replaces:
            self._outcomes.setdefault(entry.name, {})[outcome.version] = outcome
        if outcome.state is State.READY:
            self._keeps[entry.name, outcome.version] = entry.keeps
        return outcome

    def _label(self, entry: ModelEntry) -> None:
        if entry.name in self._outcomes and self._labels.get(entry.name, {}) != entry.labels:
            self._loader.label(entry.name, entry.labels)
            self._labels[entry.name] = entry.labels

    def _is_needed(self, name: str, number: int, found: Mapping[str, ModelEntry]) -> bool:
        """Return whether a version has to stay because one that should replace it could not be loaded."""
        listed = self._outcomes[name]
        if name not in found or listed[number].state is not State.READY:
            return False
        chosen = (listed.get(version.number) for version in found[name].versions)
        return any(outcome is None or outcome.state is not State.READY for outcome in chosen)

    def _unload(self, name: str, number: int) -> None:
        self._loader.unload(name, number)
        self._keeps.pop((name, number), None)
        del self._outcomes[name][number]
        if not self._outcomes[name]:
            del self._outcomes[name]
            self._labels.pop(name, None)

    def _is_ready(self, name: str, number: int) -> bool:
        outcome = self._outcomes.get(name, {}).get(number)
        return outcome is not None and outcome.state is State.READY

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
