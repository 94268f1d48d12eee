"""How Elasticsearch keeps the log: a component template with the fields, and a template of a data stream."""

from collections.abc import Mapping

from infermesh.deploy.observability.logs.fields import FIELDS, SHIPPERS
from infermesh.deploy.observability.rule import Object
from infermesh.description.mesh import Mesh

#: Of the data stream; a part of its name.
DATASET = "infermesh"
#: What the component template is called.
COMPONENT = "infermesh-fields"
#: How long records are kept.
RETENTION = "30d"
#: Above that of Elasticsearch's own template for logs, which would take the stream otherwise.
_PRIORITY = 200


def namespace(mesh: Mesh) -> str:
    """The last part of the data stream's name, which has no hyphens of its own."""
    return mesh.name.replace("-", "_")


def component_template() -> Object:
    """For `PUT _component_template/infermesh-fields`. Other fields are kept and not searched."""
    properties = _nested({**FIELDS, **SHIPPERS})
    return {"template": {"mappings": {"dynamic": False, "properties": properties}}}


def index_template() -> Object:
    """For `PUT _index_template/infermesh`."""
    return {
        "index_patterns": [f"logs-{DATASET}-*"],
        "data_stream": {},
        "composed_of": [COMPONENT],
        "priority": _PRIORITY,
        "template": {"lifecycle": {"data_retention": RETENTION}},
    }


def _nested(fields: Mapping[str, str]) -> Object:
    """Fields by dotted names as objects within each other."""
    properties: Object = {}
    for name, kind in sorted(fields.items()):
        *above, last = name.split(".")
        level = properties
        for part in above:
            level = level.setdefault(part, {"properties": {}})["properties"]
        level[last] = {"type": kind}
    return properties
