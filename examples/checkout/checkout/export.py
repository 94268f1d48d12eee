"""The classifier as one ONNX graph from the fields of an order to its score.

skl2onnx converts the trees; what stands before and after them is written here in ONNX's own text, so that a
client sends what an order says and gets one number, and nobody has to prepare features a second time.
"""

import warnings
from typing import Any

import onnx
from onnx import helper, parser
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from checkout.features import FEATURES

#: Operator sets of ONNX 1.14, the first that compares strings; ONNX Runtime has had them since 1.15.
OPSETS = {"": 19, "ai.onnx.ml": 1}
IR_VERSION = 9

#: ``checkout.features.matrix`` as a graph.
_BEFORE = """
before (
  float[N, 1] amount, float[N, 1] card_age_days, float[N, 1] account_age_days, float[N, 1] session_seconds,
  string[N, 1] card_country, string[N, 1] ip_country, string[N, 1] ship_country
) => (float[N, 6] features) {
  ip_agrees = Equal(ip_country, card_country)
  ip_differs_bool = Not(ip_agrees)
  ip_differs = Cast<to = 1>(ip_differs_bool)
  ship_agrees = Equal(ship_country, card_country)
  ship_differs_bool = Not(ship_agrees)
  ship_differs = Cast<to = 1>(ship_differs_bool)
  features = Concat<axis = 1>(
    amount, card_age_days, account_age_days, session_seconds, ip_differs, ship_differs
  )
}
"""

#: The second of the two probabilities, [honest, fraud].
_AFTER = """
after (float[N, 2] probabilities) => (float[N, 1] score) {
  fraud = Constant<value = int64[1] {1}>()
  score = Gather<axis = 1>(probabilities, fraud)
}
"""


def export(classifier: Any, notes: dict[str, str]) -> onnx.ModelProto:
    """Return a model of the inputs in ``checkout.features`` with the output score, FP32 [N, 1], from 0 to 1.

    ``classifier`` is a fitted scikit-learn classifier of FP32 [n, 6] in two classes; ``notes`` become
    metadata of the file. Raises onnx.checker.ValidationError if the parts do not fit together.
    """
    with warnings.catch_warnings():
        # It hands booleans to fields of protobuf that hold integers.
        warnings.simplefilter("ignore", DeprecationWarning)
        trees = convert_sklearn(
            classifier,
            initial_types=[("features", FloatTensorType([None, len(FEATURES)]))],
            options={"zipmap": False},
            target_opset=OPSETS,
        )
    before, after = parser.parse_graph(_BEFORE), parser.parse_graph(_AFTER)
    nodes = [*before.node, *trees.graph.node, *after.node]
    graph = helper.make_graph(nodes, "fraud", before.input, after.output, trees.graph.initializer)
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="checkout")
    helper.set_model_props(model, notes)
    onnx.checker.check_model(model, full_check=True)
    return model
