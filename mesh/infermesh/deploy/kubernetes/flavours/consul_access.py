"""Consul: who may call whom, as intentions."""

from collections.abc import Iterator, Sequence

from infermesh.deploy.kubernetes.callers import callers, is_open
from infermesh.deploy.kubernetes.objects import Object, labels, made
from infermesh.description.read import Description
from infermesh.description.workload import Allowance, Workload

_EVERYBODY = "*"


def intentions(workload: Workload, description: Description, namespace: str) -> Object:
    """What `allow` says of a workload; without it, what `calls` of others say. Anything else is refused.

    Raises ConfigurationError for identities that Consul has no name for.
    """
    marks = {"labels": labels(workload.name)}
    found = made("consul.hashicorp.com/v1alpha1", "ServiceIntentions", workload.name, namespace, marks)
    sources = list(_allowed(workload, description) if workload.allow else _callers(workload, description))
    found["spec"] = {"destination": {"name": workload.name}, "sources": sources}
    return found


def _callers(workload: Workload, description: Description) -> Iterator[Object]:
    """An app is called by anybody who has an identity, unless it says otherwise."""
    if is_open(workload):
        yield {"name": _EVERYBODY, "action": "allow"}
        return
    for name in callers(description, workload):
        yield {"name": name, "action": "allow"}
    yield {"name": _EVERYBODY, "action": "deny"}


def _allowed(workload: Workload, description: Description) -> Iterator[Object]:
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
    name = identity.removeprefix(f"spiffe://{description.mesh.domain}/")
    if name == _EVERYBODY or (name in description.workloads and name != identity):
        return name
    raise description.mistake(
        workload.name,
        f"found {identity!r} in `allow`, expected a workload of this mesh: Consul knows no other",
    )


def _source(name: str, allowances: Sequence[Allowance]) -> Object:
    if any(not it.paths and not it.methods for it in allowances):
        return {"name": name, "action": "allow"}
    permissions = [{"action": "allow", "http": http} for it in allowances for http in _requests(it)]
    return {"name": name, "permissions": permissions}


def _requests(allowance: Allowance) -> Iterator[Object]:
    methods = {"methods": list(allowance.methods)} if allowance.methods else {}
    if not allowance.paths:
        yield methods
    for path in allowance.paths:
        how = {"pathPrefix": path[:-1] or "/"} if path.endswith("*") else {"pathExact": path}
        yield {**how, **methods}
