"""What a rescan of the repository means: which versions to load again, which to let go."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from infermesh_servers.model.ensembles import dependents, is_ensemble, members_first
from infermesh_servers.model.labels import without_labels
from infermesh_servers.model.repository import ModelEntry, ModelVersion


@dataclass(frozen=True)
class Plan:
    """Steps in the order they are to be taken: a new version is ready before an old one goes."""

    #: Models that have become unreadable; what is served of them stays as it is.
    broken: tuple[ModelEntry, ...] = ()
    load: tuple[tuple[ModelEntry, ModelVersion], ...] = ()
    #: Ensembles, each after its members.
    compose: tuple[tuple[ModelEntry, ModelVersion], ...] = ()
    #: Those of them whose members change: what was loaded before is no longer known to fit.
    unsettled: frozenset[str] = frozenset()
    unload: tuple[tuple[str, int], ...] = ()


def plan(
    old: Mapping[str, ModelEntry], new: Mapping[str, ModelEntry], known: Mapping[str, AbstractSet[int]]
) -> Plan:
    """Compare two scans. ``known`` are the versions that the server lists now, ready or not, by model.

    A version is loaded if it is new, if one of its files changed, or if its model's configuration did, in
    more than its labels. One that failed is tried again when something about it changes, not before.
    """
    broken: list[ModelEntry] = []
    load: list[tuple[ModelEntry, ModelVersion]] = []
    unload: list[tuple[str, int]] = []
    for name, entry in new.items():
        if entry.problems:
            if old.get(name) != entry:
                broken.append(entry)
            continue
        load.extend((entry, version) for version in _changed(old.get(name), entry))
        chosen = {version.number for version in entry.versions}
        unload.extend((name, number) for number in sorted(known.get(name, set()) - chosen))
    for name in sorted(known.keys() - new.keys()):
        unload.extend((name, number) for number in sorted(known[name]))
    return Plan(broken=tuple(broken), load=tuple(load), unload=tuple(unload))


def compose(steps: Plan, models: Mapping[str, ModelEntry]) -> Plan:
    """Put ensembles after everything else, and add those among ``models`` whose members change."""
    plain = tuple((entry, version) for entry, version in steps.load if not is_ensemble(entry))
    own: dict[str, list[tuple[ModelEntry, ModelVersion]]] = {}
    for entry, version in steps.load:
        if is_ensemble(entry):
            own.setdefault(entry.name, []).append((entry, version))
    changed = {entry.name for entry, _ in steps.load} | {name for name, _ in steps.unload}
    unsettled = dependents(changed, models)
    ordered: list[tuple[ModelEntry, ModelVersion]] = []
    for name in members_first(own.keys() | unsettled, models):
        every = [(models[name], version) for version in models[name].versions]
        ordered.extend(every if name in unsettled else own[name])
    return replace(steps, load=plain, compose=tuple(ordered), unsettled=frozenset(unsettled))


def _changed(old: ModelEntry | None, new: ModelEntry) -> list[ModelVersion]:
    if old is None or old.problems or old.backend != new.backend or _configured_anew(old, new):
        return list(new.versions)
    before = {version.number: version.stamp for version in old.versions}
    return [version for version in new.versions if before.get(version.number) != version.stamp]


def _configured_anew(old: ModelEntry, new: ModelEntry) -> bool:
    if old.config_stamp == new.config_stamp:
        return False
    if old.labels == new.labels or old.config is None or new.config is None:
        return True
    # Protobuf declares no type for the comparison of two messages.
    return bool(without_labels(old.config) != without_labels(new.config))
