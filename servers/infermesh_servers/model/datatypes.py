"""The names of element types: what the wire calls them and what a configuration calls them."""

from infermesh.proto.inference import model_config_pb2

_PREFIX = "TYPE_"

#: Wire names, such as FP32 and BYTES, in the order of the configuration's enum.
WIRE_NAMES = tuple(
    "BYTES" if name == "TYPE_STRING" else name.removeprefix(_PREFIX)
    for name in model_config_pb2.DataType.keys()  # noqa: SIM118 - an enum wrapper is no mapping
    if name != "TYPE_INVALID"
)


def wire_name(data_type: int) -> str:
    """Return the wire name of a configuration's ``DataType``: TYPE_FP32 is FP32, TYPE_STRING is BYTES."""
    name = model_config_pb2.DataType.Name(model_config_pb2.DataType.ValueType(data_type))
    return "BYTES" if name == "TYPE_STRING" else name.removeprefix(_PREFIX)


def data_type(wire: str) -> "model_config_pb2.DataType.ValueType":
    """Return the ``DataType`` of a wire name; raises ValueError with the names there are."""
    if wire not in WIRE_NAMES:
        raise ValueError(f"unknown datatype {wire!r}, expected one of {', '.join(WIRE_NAMES)}")
    return model_config_pb2.DataType.Value("TYPE_STRING" if wire == "BYTES" else _PREFIX + wire)
