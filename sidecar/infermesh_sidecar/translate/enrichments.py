"""Models that are asked about requests."""

import json

from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb

from infermesh_sidecar.settings.enrichment import Enrichment, Input
from infermesh_sidecar.settings.resolve import only_service
from infermesh_sidecar.settings.sidecar import Sidecar
from infermesh_sidecar.translate.matches import match
from infermesh_sidecar.translate.units import nanoseconds

_ON_FAILURE = {"open": pb.ON_FAILURE_UNSPECIFIED, "closed": pb.ON_FAILURE_CLOSED}


def enrichment(given: Enrichment, sidecar: Sidecar) -> pb.Enrichment:
    """See the message."""
    return pb.Enrichment(
        name=given.name or given.model,
        cluster=given.service or only_service(sidecar) or "",
        model=given.model,
        version=given.version or "",
        inputs=[_input(name, it) for name, it in given.inputs.items()],
        outputs=[
            pb.OutputField(name=name, index=it.index, target=it.to)
            for name, targets in given.outputs.items()
            for it in targets
        ],
        timeout_ns=nanoseconds(given.timeout),
        on_failure=_ON_FAILURE[given.on_failure],
        transform=given.transform or "",
        match=None if given.match is None else match(given.match),
        on_response=given.look_at == "response",
    )


def _input(name: str, given: Input) -> pb.InputField:
    # Null is a default, too, if somebody writes it.
    default = json.dumps(given.default) if "default" in given.model_fields_set else ""
    return pb.InputField(name=name, source=given.source, datatype=given.datatype or "", default_json=default)
