"""What a workload's policies say of its instances: of servers they do, of others they may not."""

from infermesh.policies.endpoints import Endpoints
from infermesh.settings.section import Section


def instances(policies: Section | None) -> Endpoints | None:
    """How they are chosen, watched and connected to; None if nothing is said of that."""
    return policies if isinstance(policies, Endpoints) else None
