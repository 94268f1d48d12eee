"""What the fraud model looks at: fields of an order as named inputs, and what it makes of them.

Every input is one field, taken as it is, so that whoever attaches the model only has to say where each lies.
Countries are compared, never weighed: where somebody lives is no sign of fraud.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checkout.data import Document


@dataclass(frozen=True)
class Input:
    """One input of the model, [n, 1], and the path to its value in an order."""

    name: str
    #: FP32 or BYTES, as the v2 protocol calls them.
    datatype: str
    path: tuple[str, ...]


INPUTS = (
    Input("amount", "FP32", ("amount",)),
    Input("card_age_days", "FP32", ("card", "age_days")),
    Input("account_age_days", "FP32", ("account", "age_days")),
    Input("session_seconds", "FP32", ("session_seconds",)),
    Input("card_country", "BYTES", ("card", "country")),
    Input("ip_country", "BYTES", ("ip_country",)),
    Input("ship_country", "BYTES", ("ship_to", "country")),
)

#: The columns of ``matrix``.
FEATURES = ("amount", "card_age_days", "account_age_days", "session_seconds", "ip_differs", "ship_differs")


def columns(documents: Sequence[Document]) -> dict[str, NDArray[Any]]:
    """Return each input's values by name, [n, 1]: FP32 as float32, BYTES as str objects.

    Raises KeyError for an order without one of the fields.
    """
    return {
        each.name: np.array(
            [[_at(document, each.path)] for document in documents],
            np.float32 if each.datatype == "FP32" else np.object_,
        )
        for each in INPUTS
    }


def matrix(inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return FP32 [n, 6], the columns of ``FEATURES``; the exported graph computes the same itself."""
    numbers = [each.name for each in INPUTS if each.datatype == "FP32"]
    differs = [inputs[name] != inputs["card_country"] for name in ("ip_country", "ship_country")]
    return np.hstack([*(inputs[name] for name in numbers), *differs]).astype(np.float32)


def _at(document: Document, path: tuple[str, ...]) -> Any:
    value: Any = document
    for key in path:
        value = value[key]
    return value
