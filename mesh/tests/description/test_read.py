import re
from pathlib import Path

import pytest
import yaml
from infermesh.description.read import schema
from infermesh.description.reference import reference
from infermesh.errors import ConfigurationError
from infermesh.settings.json_schema import json_schema
from jsonschema import Draft202012Validator

from .conftest import Read

ROOT = Path(__file__).parents[3]

SHORT = """
    models: models
    apps:
      shop: {port: 5000}
"""


def refused(read_mesh: Read, text: str, environment: str | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_mesh(text, environment)
    return [re.sub(r"^/.*/(mesh\.yaml:)", r"\1", line) for line in str(caught.value).splitlines()]


def test_a_folder_and_a_port_are_enough(read_mesh: Read) -> None:
    mesh = read_mesh(SHORT)
    assert list(mesh.workloads) == ["models", "shop"]
    models, shop = mesh.workloads.values()
    assert (models.kind, models.models, models.calls) == ("server", ["fraud"], ())
    assert (shop.kind, shop.calls) == ("app", ["models"])


def test_an_environment_is_laid_over_the_rest(read_mesh: Read) -> None:
    text = """
        servers:
          fraud: {models: models, timeout: 200ms, placement: {replicas: 2, cpu: 500m}}
        environments:
          production:
            servers: {fraud: {placement: {replicas: 5}}}
    """
    assert read_mesh(text).workloads["fraud"].placement.replicas == 2
    production = read_mesh(text, "production").workloads["fraud"]
    assert (production.placement.replicas, production.placement.cpu) == (5, "500m")
    assert production.policies is not None
    assert production.policies.timeout is not None


def test_what_is_wrong_in_an_environment_is_named_by_its_own_line(read_mesh: Read) -> None:
    text = """\
        models: models
        environments:
          production:
            apps: {shop: {port: 5000, colour: red}}
    """
    assert read_mesh(text)
    (line,) = refused(read_mesh, text, "production")
    assert line.startswith("mesh.yaml:4: apps.shop.colour: found an unknown field, expected one of ")


def test_an_environment_that_is_none_is_named(read_mesh: Read) -> None:
    text = "environments: {production: {}, staging: {}}"
    assert refused(read_mesh, text, "prodution") == [
        "mesh.yaml:1: environments: there is no environment 'prodution', expected production"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models: modells", "mesh.yaml:1: models: found nothing of this name: "),
        ("apps: {shop: {port: 70000}}", "apps.shop.port: found 70000, expected 65535 at most"),
        ("apps: {Shop: {port: 1}}", "apps.Shop: found 'Shop', expected a name of small letters"),
        ("models: models\napps: {shop: {port: 1, calls: modes}}", "apps.shop.calls: found 'modes', which is"),
        ("models: models\nservers: {models: models}", "servers.models: found a second workload of this name"),
        ("name: a b", "name: found 'a b', expected a name of small letters, digits and hyphens"),
        (
            "apps: {shop: {port: 1, enrich: {model: m, outputs: {y: 'body.z'}}}}",
            "apps.shop.enrich.inputs: is missing",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read_mesh: Read, text: str, expected: str) -> None:
    found = refused(read_mesh, text)
    assert any(expected in line for line in found), found


def test_all_mistakes_are_named_at_once(read_mesh: Read) -> None:
    found = refused(read_mesh, "models: models\napps:\n  shop: {port: x}\n  other: {prot: 1}\n")
    assert [line.split(": ")[0] for line in found] == ["mesh.yaml:3", "mesh.yaml:4"]


def test_editors_are_told_of_all_parts() -> None:
    described = json_schema(schema())
    Draft202012Validator.check_schema(described)
    assert described["properties"].keys() >= {"name", "models", "servers", "apps", "environments"}
    validator = Draft202012Validator(described)
    assert validator.is_valid(yaml.safe_load(SHORT))
    assert not validator.is_valid({"apps": {"shop": {"port": "x"}}})


def test_the_reference_is_as_the_schema() -> None:
    written = (ROOT / "docs/mesh-reference.md").read_text(encoding="utf-8")
    assert written == reference(), "python -m infermesh.description.reference > docs/mesh-reference.md"
