"""How requests to a workload are split, in the whole numbers that targets take."""

from collections.abc import Mapping

from infermesh.description.workload import Workload

#: A share is known to the hundredth of a percent: no target that splits takes less.
_WHOLE = 10_000


def weights(workload: Workload) -> Mapping[str, int]:
    """Of itself first, then of those that take a share, by name; nothing where all requests are its own.

    Together 100, or 10,000 where parts of a percent are said.
    """
    if not workload.split:
        return {}
    taken = {name: round(share * _WHOLE) for name, share in workload.split.items()}
    found = {workload.name: _WHOLE - sum(taken.values()), **taken}
    if any(weight % 100 for weight in found.values()):
        return found
    return {name: weight // 100 for name, weight in found.items()}


def percents(workload: Workload) -> Mapping[str, float]:
    """As `weights`, and always together 100."""
    found = weights(workload)
    if sum(found.values()) == _WHOLE:
        return {name: weight / 100 for name, weight in found.items()}
    return found
