"""`infermesh render kserve`, apart from its options."""

from pathlib import Path

from infermesh.deploy import yaml_text
from infermesh.deploy.command import save
from infermesh.deploy.kubernetes.kserve import objects
from infermesh.deploy.output import File
from infermesh.description.read import read


def run(file: Path, output: Path, namespace: str | None, environment: str | None) -> None:
    """Render the model servers of a mesh into a folder, a file for each object.

    Raises ConfigurationError for a file that cannot be used, and files that are in the way; InfermeshError
    if one cannot be written.
    """
    description = read(file, environment)
    found = list(objects(description, namespace or description.mesh.name))
    resources = {f"{it['metadata']['name']}-{_KINDS[it['kind']]}.yaml": it for it in found}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }
    files = {"kustomization.yaml": kustomization, **resources}
    save(output, [File(path, yaml_text.one(it)) for path, it in files.items()])


_KINDS = {"ServingRuntime": "runtime", "InferenceService": "service"}
