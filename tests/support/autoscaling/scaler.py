"""A HorizontalPodAutoscaler as Kubernetes has it, with what a rendered ScaledObject says."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

TOLERANCE = 0.1

#: What holds where nothing is said of it.
UP = (
    {"type": "Percent", "value": 100, "periodSeconds": 15},
    {"type": "Pods", "value": 4, "periodSeconds": 15},
)


class Scaler:
    """Decides how many there are, of the values of the triggers."""

    def __init__(self, spec: Mapping[str, Any], replicas: int) -> None:
        self.replicas = replicas
        self._min: int = spec["minReplicaCount"]
        self._max: int = spec["maxReplicaCount"]
        self._targets = [float(it["metadata"]["threshold"]) for it in spec["triggers"]]
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        self._down = behavior["scaleDown"]
        self._recommended: deque[tuple[float, int]] = deque()
        self._changes: deque[tuple[float, int]] = deque()

    def decide(self, now: float, values: Sequence[float]) -> int:
        """How many there are to be from now on."""
        wanted = max(self._wanted(*it) for it in zip(values, self._targets, strict=True))
        self._recommended.append((now, wanted))
        quiet = self._down["stabilizationWindowSeconds"]
        while self._recommended[0][0] <= now - quiet:
            self._recommended.popleft()
        if wanted < self.replicas:
            wanted = min(self.replicas, max(it for _, it in self._recommended))
        decided = min(max(self._limited(now, wanted), self._min), self._max)
        if decided != self.replicas:
            self._changes.append((now, decided - self.replicas))
        self.replicas = decided
        return decided

    def _wanted(self, value: float, target: float) -> int:
        ratio = value / (target * self.replicas)
        return self.replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(value / target)

    def _limited(self, now: float, wanted: int) -> int:
        if wanted > self.replicas:
            allowed = [self._before(now, it) + _step(self._before(now, it), it) for it in UP]
            return min(wanted, max(self.replicas, *allowed))
        allowed = [_less(self._before(now, it), it) for it in self._down["policies"]]
        return max(wanted, min(self.replicas, *allowed))

    def _before(self, now: float, policy: Mapping[str, Any]) -> int:
        """How many there were when a policy's period began."""
        return self.replicas - sum(it for when, it in self._changes if when > now - policy["periodSeconds"])


def _step(replicas: int, policy: Mapping[str, Any]) -> int:
    value: int = policy["value"]
    return value if policy["type"] == "Pods" else math.ceil(replicas * value / 100)


def _less(replicas: int, policy: Mapping[str, Any]) -> int:
    value: int = policy["value"]
    return replicas - value if policy["type"] == "Pods" else int(replicas * (1 - value / 100))
