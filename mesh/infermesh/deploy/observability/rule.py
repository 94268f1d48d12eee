"""Rules as Prometheus has them."""

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]

#: What every series says of whose it is; `namespace` is empty outside of Kubernetes.
WHOSE = "mesh, namespace, workload"


def record(name: str, expression: str, **labels: str) -> Object:
    """A rule that keeps the value of an expression under a name, with further labels."""
    return {"record": name, "expr": expression, **({"labels": labels} if labels else {})}


def group(name: str, rules: Sequence[Object]) -> Object:
    """Rules that are evaluated one after another; a later one sees what an earlier one has recorded."""
    return {"name": name, "rules": list(rules)}


def ratio(part: str, whole: str) -> str:
    """A share of what there is; nothing where there is nothing, in place of 0 / 0."""
    return f"{part}\n/\n({whole} > 0)"


def rate(metric: str, by: str, window: str = "5m") -> str:
    """Per second, by some labels."""
    return f"sum by ({by}) (rate({metric}[{window}]))"


def mean(histogram: str, by: str) -> str:
    """Of what a histogram has counted in five minutes."""
    return ratio(rate(f"{histogram}_sum", by), rate(f"{histogram}_count", by))


def quantile(share: float, histogram: str, by: str, selector: str = "") -> str:
    """Of what a histogram has counted in five minutes."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket{selector}', f'{by}, le')})"
