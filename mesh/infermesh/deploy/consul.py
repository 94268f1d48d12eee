"""Who may call whom, as Consul says it: in Kubernetes, and, spelt otherwise, in its own entries."""

from collections.abc import Iterator, Sequence
from typing import Any

from infermesh.deploy.callers import callers, is_open
from infermesh.description.read import Description
from infermesh.description.workload import Allowance, Workload

Source = dict[str, Any]

_EVERYBODY = "*"


def sources(workload: Workload, description: Description) -> list[Source]:
    """The sources of its intentions: what `allow` says; without it, what `calls` of others say.

    Anything else is refused. Raises ConfigurationError for identities that Consul has no name for.
    """
    return list(_allowed(workload, description) if workload.allow else _callers(workload, description))


def _callers(workload: Workload, description: Description) -> Iterator[Source]:
    """An app is called by anybody who has an identity, unless it says otherwise."""
    if is_open(workload, description):
        yield {"name": _EVERYBODY, "action": "allow"}
        return
    for name in callers(description, workload):
        yield {"name": name, "action": "allow"}
    yield {"name": _EVERYBODY, "action": "deny"}


def _allowed(workload: Workload, description: Description) -> Iterator[Source]:
    """One source for each, since a second would replace the first; what everybody may, each may too."""
    named = [(said, _names(said, workload, description)) for said in workload.allow]
    everybody = [said for said, names in named if _EVERYBODY in names]
    for name in dict.fromkeys(name for _, names in named for name in names if name != _EVERYBODY):
        own = [said for said, names in named if name in names]
        yield _source(name, [*own, *everybody])
    yield _source(_EVERYBODY, everybody) if everybody else {"name": _EVERYBODY, "action": "deny"}


def _names(allowance: Allowance, workload: Workload, description: Description) -> tuple[str, ...]:
    return tuple(_name(it, workload, description) for it in allowance.identities) or (_EVERYBODY,)


def _name(identity: str, workload: Workload, description: Description) -> str:
    """A service of Consul's: its name is that of the workload, or of everybody."""
    prefix = f"spiffe://{description.mesh.domain}/"
    name = identity.removeprefix(prefix)
    if name == _EVERYBODY or (name in description.workloads and name != identity):
        return name
    raise description.mistake(
        workload.name,
        f"found {identity!r} in `allow`, expected {prefix} with the name of a workload, or with *: Consul "
        "knows no other callers",
    )


def _source(name: str, allowances: Sequence[Allowance]) -> Source:
    if any(not it.paths and not it.methods for it in allowances):
        return {"name": name, "action": "allow"}
    permissions = [{"action": "allow", "http": http} for it in allowances for http in _requests(it)]
    return {"name": name, "permissions": permissions}


def _requests(allowance: Allowance) -> Iterator[Source]:
    methods = {"methods": list(allowance.methods)} if allowance.methods else {}
    if not allowance.paths:
        yield methods
    for path in allowance.paths:
        how = {"pathPrefix": path[:-1] or "/"} if path.endswith("*") else {"pathExact": path}
        yield {**how, **methods}
