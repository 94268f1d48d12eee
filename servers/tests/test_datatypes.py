"""The wire's names of element types, the configuration's and numpy's are of the same types."""

import pytest
from infermesh.tensors import numpy_type
from infermesh_servers.model.datatypes import WIRE_NAMES, data_type, wire_name


def test_every_type_has_a_name_on_both_sides_and_one_of_numpy() -> None:
    assert [wire_name(data_type(name)) for name in WIRE_NAMES] == list(WIRE_NAMES)
    assert all(numpy_type(name) for name in WIRE_NAMES)


def test_an_unknown_type_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="FP32"):
        data_type("FLOAT")
