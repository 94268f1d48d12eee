"""How models hang together: ensembles, and the models that their steps call."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from infermesh.proto.inference.model_config_pb2 import ModelConfig

from infermesh_servers.model.repository import ModelEntry


def member_names(config: ModelConfig | None) -> list[str]:
    """Return the models that an ensemble's steps call, each once; of any other model none."""
    steps = config.ensemble_scheduling.step if config is not None else ()
    return list(dict.fromkeys(step.model_name for step in steps))


def is_ensemble(entry: ModelEntry) -> bool:
    """Return whether a model consists of others."""
    return bool(member_names(entry.config))


def all_members(entry: ModelEntry, find: Callable[[str], ModelEntry | None]) -> dict[str, ModelEntry]:
    """Return the models that an ensemble needs, and what those need, by name; ``find`` looks one up."""
    found: dict[str, ModelEntry] = {}
    names = member_names(entry.config)
    while names:
        name = names.pop()
        member = None if name in found or name == entry.name else find(name)
        if member is not None:
            found[name] = member
            names.extend(member_names(member.config))
    return found


def dependents(changed: Iterable[str], entries: Mapping[str, ModelEntry]) -> set[str]:
    """Return the ensembles that call one of these models, directly or through others."""
    above: dict[str, set[str]] = {}
    for entry in entries.values():
        for member in member_names(entry.config):
            above.setdefault(member, set()).add(entry.name)
    reached: set[str] = set()
    names = list(changed)
    while names:
        new = above.get(names.pop(), set()) - reached
        reached |= new
        names.extend(new)
    return reached


def members_first(names: AbstractSet[str], entries: Mapping[str, ModelEntry]) -> list[str]:
    """Return models in an order in which every ensemble comes after its members; circles in any order."""
    ordered: dict[str, None] = {}
    visited: set[str] = set()
    for name in sorted(names):
        _visit(name, entries, visited, ordered)
    return [name for name in ordered if name in names]


def _visit(name: str, entries: Mapping[str, ModelEntry], visited: set[str], ordered: dict[str, None]) -> None:
    # No function within a function: one that calls itself would keep the entries, and what they keep, alive.
    if name in visited or name not in entries:
        return
    visited.add(name)
    for member in member_names(entries[name].config):
        _visit(member, entries, visited, ordered)
    ordered[name] = None


def unmet(config: ModelConfig, ready: Mapping[str, AbstractSet[int]]) -> str:
    """Return what an ensemble lacks of its members, or an empty string.

    ``ready`` are the versions that are served, by model.
    """
    return "; ".join(dict.fromkeys(_unmet(config, ready)))


def _unmet(config: ModelConfig, ready: Mapping[str, AbstractSet[int]]) -> Iterator[str]:
    for number, step in enumerate(config.ensemble_scheduling.step, start=1):
        versions = ready.get(step.model_name, set())
        if not versions:
            yield f"step {number} needs the model '{step.model_name}', which is not ready"
        elif step.model_version > 0 and step.model_version not in versions:
            yield (
                f"step {number} needs version {step.model_version} of the model '{step.model_name}', "
                "which is not ready"
            )


def circle(name: str, entries: Mapping[str, ModelEntry]) -> str:
    """Return the way from an ensemble back to itself, as people read it, or an empty string."""
    ways = [[name]]
    visited: set[str] = set()
    while ways:
        way = ways.pop()
        entry = entries.get(way[-1])
        for member in member_names(entry.config) if entry is not None else ():
            if member == name:
                return " -> ".join([*way, name])
            if member not in visited:
                visited.add(member)
                ways.append([*way, member])
    return ""
