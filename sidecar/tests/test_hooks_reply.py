"""What functions return becomes JSON that the data plane makes tensors of."""

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from infermesh_sidecar.hooks import reply


def said(**returned: Any) -> Any:
    return json.loads(reply.tensors(returned))["tensors"]


def test_values_are_numbers_text_and_lists_of_them() -> None:
    found = said(a=1, b=[1.5, 2], c=("x", b"y\xc3\xa9"), d=[[True], [False]], e=2**63, f=Decimal("12.50"))
    assert found == {"a": 1, "b": [1.5, 2], "c": ["x", "yé"], "d": [[True], [False]], "e": 2**63, "f": 12.5}


def test_arrays_are_lists_of_lists() -> None:
    words = np.array([b"a", "b"], object)
    found = said(
        a=np.array([[1, 2]], np.int32),
        b=np.float32(1.5),
        c=np.array(True),
        d=words,
        e=[np.int8(1), np.int8(2)],
    )
    assert found == {"a": [[1, 2]], "b": 1.5, "c": True, "d": ["a", "b"], "e": [1, 2]}


def test_numbers_that_json_lacks_are_spelled_as_the_protocol_spells_them() -> None:
    nan, inf = float("nan"), float("inf")
    found = said(a=[nan, inf, -inf, 1.5], b=np.array([[nan], [2]], np.float32), c=inf, d=["x", None, True, 3])
    assert found == {
        "a": ["NaN", "Infinity", "-Infinity", 1.5],
        "b": [["NaN"], [2.0]],
        "c": "Infinity",
        "d": ["x", None, True, 3],
    }


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "found None, expected a dict of values by the names of the model's inputs"),
        ([1], "found list, expected a dict"),
        ({1: 2}, "found 1 for the name of an input, expected text"),
        ({"x": {1, 2}}, "found set in a tensor, expected numbers, text, lists or arrays"),
        ({"x": [object()]}, "found object in a tensor"),
        ({"x": (number for number in [1])}, "found generator in a tensor"),
        ({"x": b"\xff"}, "can't decode byte"),
    ],
)
def test_what_is_no_tensor_is_refused(returned: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        reply.tensors(returned)
    assert message in str(caught.value)


def test_an_error_is_its_type_and_message() -> None:
    assert json.loads(reply.error(ValueError("no price"))) == {"error": "ValueError: no price"}
    assert json.loads(reply.error(KeyError())) == {"error": "KeyError"}
    assert len(reply.error(ValueError("x" * 10_000))) < 600
