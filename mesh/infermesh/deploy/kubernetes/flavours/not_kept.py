"""What mesh.yaml asks for and a mesh cannot do, said where an operator finds it: beside the route."""

from collections.abc import Iterator, Mapping, Set

from infermesh.deploy.kubernetes.flavours.retries import KNOWN
from infermesh.deploy.kubernetes.objects import NOT_KEPT
from infermesh.policies.requests import Policies
from infermesh.settings.section import Section


def not_kept(policies: Policies, unknown: Mapping[str, Set[str]]) -> dict[str, str]:
    """An annotation that names it, if there is any. `unknown` are fields by policy; no fields: all of it.

    What was not said in mesh.yaml is not missed.
    """
    found = [*_fields(policies, unknown), *_codes(policies)]
    return {NOT_KEPT: ", ".join(found)} if found else {}


def _fields(policies: Policies, unknown: Mapping[str, Set[str]]) -> Iterator[str]:
    for policy, fields in unknown.items():
        section = getattr(policies, policy, None)
        if policy not in policies.model_fields_set or not isinstance(section, Section):
            continue
        if not fields:
            yield policy
        for field in type(section).model_fields:
            if field in fields and field in section.model_fields_set:
                yield f"{policy}.{field}"


def _codes(policies: Policies) -> Iterator[str]:
    if policies.retry is not None and policies.retry.max_attempts > 1:
        yield from (f"retry.codes {code}" for code in policies.retry.codes if code not in KNOWN)
