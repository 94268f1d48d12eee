"""The flavours that there are."""

from collections.abc import Mapping

from infermesh.deploy.kubernetes.flavour import Flavour
from infermesh.deploy.kubernetes.flavours.consul import Consul
from infermesh.deploy.kubernetes.flavours.istio import Istio
from infermesh.deploy.kubernetes.flavours.linkerd import Linkerd
from infermesh.deploy.kubernetes.flavours.none import NoMesh

FLAVOURS: Mapping[str, Flavour] = {it.name: it for it in (NoMesh(), Istio(), Linkerd(), Consul())}
