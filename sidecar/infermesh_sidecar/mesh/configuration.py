"""The sidecar.yaml of an app of a mesh, for the place where the two run."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from infermesh.description.mesh import Mesh
from infermesh.description.place import Place
from infermesh.description.workload import ADMIN, GRPC, INBOUND, OUTBOUND, Workload
from infermesh.policies.endpoints import Endpoints
from infermesh.policies.requests import Policies

from infermesh_sidecar.mesh.app import App

#: Fields of an app that its inbound listener has by the same name.
_INBOUND = ("allow", "enrich", "routes", *Policies.model_fields)

#: And the sidecar as a whole.
_WHOLE = ("tracing", "limits", "shutdown", "log")

#: What a sidecar leaves to whoever does it already, and how it says so.
_LEFT_TO_OTHERS = {"retry": False, "breaker": False}

#: What goes with it: who chooses the endpoints is the only one who sees them; to others they are one address.
_GOES_WITH = {"outlier": "breaker", "health_check": "balance"}


def configuration(
    name: str, app: App, called: Sequence[Workload], mesh: Mesh, place: Place
) -> dict[str, Any]:
    """As `sidecar.yaml` says it; times and sizes are text."""
    said = app.model_dump(by_alias=True, exclude_unset=True)
    shared = {name for it in called for name in it.split}
    # Where those stand beside it, it would not be the only one any more.
    main = [it.name for it in called if it.name not in shared]
    only = main[0] if shared and len(main) == 1 else None
    found: dict[str, Any] = {
        "name": name,
        "admin": place.listen(ADMIN),
        **_who(place),
        "services": {it.name: _service(it, mesh, place, names=it.name not in shared) for it in called},
        "inbound": {
            "listen": place.listen(INBOUND),
            "app": f"127.0.0.1:{place.number('app')}",
            "wait_for_app": _app_starts(app, place),
            **_asking({field: said[field] for field in _INBOUND if field in said}, only),
        },
        **{field: said[field] for field in _WHOLE if field in said},
    }
    if "authorize" in place.duties:
        found["inbound"].pop("allow", None)
    # Without an identity whoever stands around encrypts, or nobody does.
    if place.identity is not None:
        found["inbound"]["tls"] = app.tls or ("permissive" if place.is_private else "mutual")
    if called:
        found["outbound"] = {"listen": place.listen(OUTBOUND), **({"service": only} if only else {})}
    if "copies" in said:
        found["capture"] = {**said["copies"], "directory": place.path(said["copies"]["directory"])}
    if mesh.collector is not None:
        found["tracing"] = {"endpoint": mesh.collector, **found.get("tracing", {})}
    return found


def text(found: Mapping[str, Any]) -> str:
    """As a file."""
    return str(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=110))


def _app_starts(app: App, place: Place) -> dict[str, Any] | bool:
    path = {"path": app.health} if app.health else {}
    # Elsewhere its image may have to be fetched first, while the sidecar is there already.
    return path or True if place.is_private else {**path, "timeout": "10m"}


def _who(place: Place) -> dict[str, Any]:
    if place.identity is not None:
        return {"identity": {"directory": place.identity}}
    return {"tls": "mesh" if "tls" in place.duties else "off"}


def _asking(said: Mapping[str, Any], only: str | None) -> dict[str, Any]:
    """A listener or a route, whose enrichments say whom they ask."""
    if only is None:
        return dict(said)
    enrich = {"enrich": [{"service": only, **it} for it in said["enrich"]]} if "enrich" in said else {}
    routes = {"routes": [_asking(it, only) for it in said["routes"]]} if "routes" in said else {}
    return {**said, **enrich, **routes}


def _service(called: Workload, mesh: Mesh, place: Place, *, names: bool) -> dict[str, Any]:
    """Whom to call; `names` says whether names of models lead there."""
    reach = place.reach(called.name, GRPC)
    where = {"dns": reach.dns} if reach.dns is not None else {"endpoints": list(reach.endpoints)}
    identities = (
        {"identities": [f"spiffe://{mesh.domain}/{called.name}"]} if place.identity is not None else {}
    )
    models = (list(called.models) or [called.name]) if names else []
    return {**where, **identities, "models": models, **_split(called, place), **_policies(called, place)}


def _split(called: Workload, place: Place) -> dict[str, Any]:
    taken = {name: share for name, share in called.split.items() if share}
    return {"split": taken} if taken and "split" not in place.duties else {}


def _policies(called: Workload, place: Place) -> dict[str, Any]:
    """What is said of whom is called, but what the mesh around does."""
    if called.policies is None:
        return {}
    known = Policies.model_fields.keys() | Endpoints.model_fields.keys()
    said = called.policies.model_dump(by_alias=True, exclude_unset=True)
    kept = {field: said[field] for field in said if field in known and _is_ours(field, place)}
    return {**kept, **{field: off for field, off in _LEFT_TO_OTHERS.items() if field in place.duties}}


def _is_ours(policy: str, place: Place) -> bool:
    return not {policy, _GOES_WITH.get(policy, policy)} & place.duties
