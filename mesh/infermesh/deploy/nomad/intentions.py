"""Who may call whom, as Consul says it."""

from collections.abc import Iterator, Sequence
from typing import Any

from infermesh.description.read import Description
from infermesh.description.workload import GRPC, Allowance, Workload

Entry = dict[str, Any]

_ANYBODY = "*"


def intentions(workload: Workload, description: Description) -> Entry:
    """What `allow` says; without it, a server takes those that call it.

    Apps, and what is exposed, take everybody of the mesh then, a gateway among them.

    Raises ConfigurationError for identities that are no workloads.
    """
    if workload.allow:
        sources = list(_allowed(workload, description))
    elif workload.has_port(GRPC) and workload.exposed is None:
        callers = [it.name for it in description.workloads.values() if workload.name in it.calls]
        sources = [*({"Name": name, "Action": "allow"} for name in callers), _refused()]
    else:
        sources = [{"Name": _ANYBODY, "Action": "allow"}]
    return {"Kind": "service-intentions", "Name": workload.name, "Sources": sources}


def _refused() -> Entry:
    return {"Name": _ANYBODY, "Action": "deny"}


def _allowed(workload: Workload, description: Description) -> Iterator[Entry]:
    """One for each caller, as of several the last alone would hold; each may what anybody may."""
    by_caller: dict[str, list[Allowance]] = {}
    for allowance in workload.allow:
        for identity in allowance.identities or (_ANYBODY,):
            by_caller.setdefault(_service(identity, workload, description), []).append(allowance)
    anybody = by_caller.pop(_ANYBODY, [])
    for name, allowances in by_caller.items():
        yield _source(name, [*allowances, *anybody])
    yield _source(_ANYBODY, anybody) if anybody else _refused()


def _service(identity: str, workload: Workload, description: Description) -> str:
    prefix = f"spiffe://{description.mesh.domain}/"
    name = identity.removeprefix(prefix)
    if identity == _ANYBODY or (
        identity.startswith(prefix) and (name == _ANYBODY or name in description.workloads)
    ):
        return name
    raise description.mistake(
        workload.name,
        f"found {identity!r} in `allow`, expected {prefix} with the name of a workload, or with *: Consul "
        "knows no other callers",
    )


def _source(name: str, allowances: Sequence[Allowance]) -> Entry:
    if any(not it.paths and not it.methods for it in allowances):
        return {"Name": name, "Action": "allow"}
    permissions = [{"Action": "allow", "HTTP": http} for it in allowances for http in _requests(it)]
    return {"Name": name, "Permissions": permissions}


def _requests(allowance: Allowance) -> Iterator[Entry]:
    methods = {"Methods": list(allowance.methods)} if allowance.methods else {}
    if not allowance.paths:
        yield methods
    for path in allowance.paths:
        where = {"PathPrefix": path[:-1] or "/"} if path.endswith("*") else {"PathExact": path}
        yield {**where, **methods}
