"""Which of a model's versions are served."""

from collections.abc import Iterable

from infermesh.proto.inference.model_config_pb2 import ModelVersionPolicy


def select(policy: ModelVersionPolicy, versions: Iterable[int]) -> list[int]:
    """Return the versions to serve, ascending: by default the highest one alone.

    ``versions`` are those the repository holds. A specific version that is not among them is left out here;
    ``missing`` names it.
    """
    present = sorted(versions)
    match policy.WhichOneof("policy_choice"):
        case "all":
            return present
        case "specific":
            wanted = set(policy.specific.versions)
            return [version for version in present if version in wanted]
        case _:
            # Zero is what an unset number reads as, and "none of them" would be an odd thing to ask for.
            return present[-(policy.latest.num_versions or 1) :]


def missing(policy: ModelVersionPolicy, versions: Iterable[int]) -> list[int]:
    """Return the specific versions that the policy asks for and the repository does not hold, ascending."""
    return sorted(set(policy.specific.versions) - set(versions))
